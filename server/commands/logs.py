"""How `chorus serve` writes its log: nothing that a terminal obeys, no bytes of a stranger, no flood."""

import logging
import sys
from collections.abc import Callable
from time import monotonic

from aiohttp.http_exceptions import HttpProcessingError

from server.chat.text import clean

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

REFUSED_EVERY_SECONDS = 60.0
"""How often refused requests are mentioned, as a count."""


class CleanFormatter(logging.Formatter):
    """Drops what a terminal would obey from whatever is logged, by whichever library."""

    def format(self, record: logging.LogRecord) -> str:
        return clean(super().format(record))


class RefusedRequests(logging.Filter):
    """Turns aiohttp's records of malformed requests, which quote them, into a count now and then."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._count = 0
        self._next = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, HttpProcessingError):
            return True
        self._count += 1
        now = self._clock()
        if now < self._next:
            return False
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg, record.args = "%d requests that are no HTTP were refused", (self._count,)
        record.exc_info = record.exc_text = None
        self._count, self._next = 0, now + REFUSED_EVERY_SECONDS
        return True


def set_up() -> None:
    """Log warnings and errors to standard error, and nowhere else."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(CleanFormatter(LOG_FORMAT))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("aiohttp.server").addFilter(RefusedRequests())
    # It names the database's user where a commit failed, which the journal logs in words of our own.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
