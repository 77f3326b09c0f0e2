"""Start a stand-in of a Qdrant server on a port of this machine, until it is interrupted.

python -m tests.standins.qdrant 6333
python -m tests.standins.qdrant 6333 --status 503 --retry-after 2 --every 3 --only writes
curl -X PUT 127.0.0.1:6333/standin/faults -d '[{"does": "stall", "requests": "reads"}]'
"""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from pydantic import ValidationError

from tests.standins.qdrant.answers import NEWEST
from tests.standins.qdrant.faults import Does, Fault
from tests.standins.qdrant.standin import StandIn


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.standins.qdrant",
        description="A stand-in of a Qdrant server, on the client's own embedded mode.",
        epilog="A running one takes other faults at /standin/faults (GET, PUT a JSON list, DELETE) "
        "and tells what it was asked at /standin/counts.",
    )
    parser.add_argument("port", type=int, help="0 takes any free one")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--api-key", help="what each request must bring")
    parser.add_argument("--version", default=NEWEST, help="what it says it is, and knows")
    parser.add_argument("--folder", type=Path, help="keeps the collections; in memory without it")
    faults = parser.add_argument_group("faults")
    faults.add_argument("--status", type=int, help="answer with this status")
    faults.add_argument("--retry-after", help="the header of such an answer: seconds, or a date")
    faults.add_argument("--delay", type=float, metavar="SECONDS", help="answer so much later")
    for does, what in (
        (Does.CUT, "cut the connection"),
        (Does.LOSE, "carry out, and cut the connection in place of the answer"),
        (Does.STALL, "never answer"),
        (Does.DRIP, "send an answer that never ends"),
        (Does.UNSURE, "carry writes out, and say that they may not have been"),
    ):
        faults.add_argument(f"--{does}", action="store_true", help=what)
    faults.add_argument("--every", type=int, default=1, metavar="N", help="of each N-th request")
    faults.add_argument("--times", type=int, metavar="N", help="N times, and no more")
    faults.add_argument("--only", choices=("reads", "writes"), help="of these requests")
    return parser


def _faults(given: argparse.Namespace) -> list[Fault]:
    """Those that the flags name. Raises ValidationError."""
    which = {"every": given.every, "times": given.times, "requests": given.only or "all"}
    found: list[Fault] = []
    if given.delay is not None:
        found.append(Fault(does=Does.DELAY, seconds=given.delay, **which))
    if given.status is not None:
        found.append(
            Fault(does=Does.STATUS, status=given.status, retry_after=given.retry_after, **which)
        )
    found.extend(
        Fault(does=does, **which) for does in Does if getattr(given, does.value, None) is True
    )
    return found


async def _serve(standin: StandIn) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, ended.set)
    await standin.appear()
    print(f"Qdrant {standin.answers.version} (a stand-in) on {standin.url}", flush=True)
    await ended.wait()
    await standin.disappear()
    standin.answers.close()


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = _arguments()
    given = parser.parse_args()
    try:
        faults = _faults(given)
    except ValidationError as error:
        first = error.errors()[0]
        parser.error(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    if not 0 <= given.port <= 65_535:
        parser.error("port: from 0 to 65535")
    try:
        standin = StandIn(
            port=given.port,
            host=given.host,
            version=given.version,
            api_key=given.api_key,
            folder=given.folder,
        )
    except (ValueError, RuntimeError, OSError) as error:
        parser.error(str(error))
    standin.faults.set(*faults)
    try:
        asyncio.run(_serve(standin))
    except OSError as error:
        sys.exit(f"cannot listen: {error.strerror}")


if __name__ == "__main__":
    main()
