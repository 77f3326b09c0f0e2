"""Times as they are typed: a date, a time, or how long ago."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from server.commands.errors import WRONG_USE, CommandFailed

_AGO: Final = re.compile(r"([0-9]{1,6})([mhd])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


def moment_of(text: str, option: str, *, now: datetime | None = None) -> datetime:
    """The time that an option names; without a zone it is in UTC.

    Args:
        now: Where a length, such as 90m, 24h or 7d, is so long ago; None takes none.

    Raises:
        CommandFailed: it is no time.
    """
    try:
        if now is not None and (ago := _AGO.fullmatch(text)):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(text)
        zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return zoned.astimezone(UTC)
    except (ValueError, OverflowError):
        ago_too = "" if now is None else ", or a length such as 24h or 7d for so long ago"
        raise CommandFailed(
            f"{option} must be a time such as 2026-11-30 or 2026-11-30T08:00:00Z{ago_too}",
            exit_code=WRONG_USE,
        ) from None
