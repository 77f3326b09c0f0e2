"""The wait that a server asks for in the headers of an answer, in whichever form it does."""

import math
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_TOLD_MS: Final = 24 * 60 * 60 * 1000
"""A longer wait that is asked for counts as this."""


def retry_after_ms(headers: Mapping[str, str], now: datetime | None = None) -> int | None:
    """The wait that a server asks for, in ms; None where it asks for none that can be read.

    Understands `retry-after-ms`, and `retry-after` in seconds or as an HTTP date (RFC 9110, section
    10.2.3).

    Args:
        headers: with lower-case names, or a mapping that ignores case.
        now: what a date is held against where the answer has none of its own.
    """
    wait = _number(headers.get("retry-after-ms"))
    if wait is None:
        asked = headers.get("retry-after")
        seconds = _number(asked)
        if seconds is None:
            # By the server's own clock where it says: ours may be off by an hour.
            seconds = _between(_moment(headers.get("date")) or now, _moment(asked))
        wait = None if seconds is None else seconds * 1000
    return None if wait is None else int(min(max(wait, 0), LONGEST_TOLD_MS))


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _moment(date: str | None) -> datetime | None:
    """An HTTP date; None where it is none."""
    try:
        moment = parsedate_to_datetime(date or "")
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else None


def _between(begin: datetime | None, end: datetime | None) -> float | None:
    """Seconds."""
    return None if begin is None or end is None else (end - begin).total_seconds()
