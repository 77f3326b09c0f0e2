"""The log of `chorus serve` holds nothing that strangers sent, and is no way to fill a disk."""

import asyncio
import logging
import sys
from pathlib import Path

from aiohttp.http_exceptions import BadHttpMessage

from server.commands.logs import LOG_FORMAT, CleanFormatter, RefusedRequests
from tests.support.obedient_model import obedient_model
from tests.support.served import served

SECRET = b"xylophonical\x1b[31m"
MALFORMED = (
    b"GET / HTTP/1.1\r\nBad Header" + SECRET + b"\r\n\r\n",
    SECRET * 10 + b"\r\n\r\n",
    b"GET / HTTP/9" + SECRET + b"\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + SECRET + b"\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + SECRET + b"\r\n",
)


async def send(port: int, data: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        await writer.drain()
        writer.write_eof()
        async with asyncio.timeout(10):
            await reader.read()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def test_malformed_requests_leave_a_count_and_not_their_bytes(tmp_path: Path) -> None:
    async with obedient_model() as model, served(tmp_path, model.url) as server:
        for _ in range(20):
            for data in MALFORMED:
                await send(int(server.url.rsplit(":", 1)[1]), data)
        log = server.log()
    assert "xylophonical" not in log, log
    assert "\x1b" not in log
    assert "Traceback" not in log, log
    assert log.count("requests that are no HTTP were refused") <= 1, log


def record(text: str, error: Exception | None = None) -> logging.LogRecord:
    info = (type(error), error, None) if error is not None else None
    return logging.LogRecord("server", logging.ERROR, "", 0, text, (), info)


def test_what_is_logged_holds_nothing_that_a_terminal_obeys() -> None:
    line = CleanFormatter(LOG_FORMAT).format(record("the model \x1b]0;mine\x07 is \u202egone"))
    assert line.endswith("ERROR server: the model ]0;mine is gone")


def test_refused_requests_are_counted_and_told_once_a_minute() -> None:
    now = 0.0
    refused = RefusedRequests(lambda: now)
    told = []
    for second in range(180):
        now = float(second)
        each = record("Error handling request", BadHttpMessage("xylophonical"))
        if refused.filter(each):
            told.append(each.getMessage())
            assert each.exc_info is None
    assert told == [
        "1 requests that are no HTTP were refused",
        "60 requests that are no HTTP were refused",
        "60 requests that are no HTTP were refused",
    ]
    assert refused.filter(record("something else", ValueError("kept")))


async def test_a_commit_that_failed_is_logged_without_the_databases_user() -> None:
    program = (
        "import logging; from server.commands import logs; logs.set_up();"
        "logging.getLogger('psycopg').warning('user=ann'); logging.warning('said')"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert errors.endswith(b" WARNING root: said\n")
    assert b"ann" not in errors
