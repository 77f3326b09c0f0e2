"""Which Qdrant servers will do: those that do what the memory rests on.

An older server leaves out what it does not know of a request, and says nothing: it would overwrite
what is newer. So its version is asked for before anything else is.

| needed | since | published description |
|---|---|---|
| an upsert that changes points only where they are there (`update_mode`) | 1.17 | `PointsList` |
| an upsert under a condition (`update_filter`), a collection's `metadata` | 1.16 | `CreateCollection` |
| scores of words by their rarity (`Modifier`), the universal query | 1.10 | `SparseVectorParams` |
"""

import re
from typing import Final

from machines.models import errors

OLDEST: Final = (1, 17)


def verify_server(title: str, version: str) -> None:
    """Refuse a server that is no Qdrant, or too old a one, by what it says of itself.

    Raises:
        ConnectionError: not retryable; the message is one line for an operator.
    """
    told = re.match(r"(\d{1,6})\.(\d{1,6})", version)
    if "qdrant" not in title.lower() or told is None:
        raise not_qdrant(f"{title[:80]!r} {version[:80]!r}")
    if (int(told[1]), int(told[2])) < OLDEST:
        raise errors.ConnectionError(
            f"The vector store is Qdrant {told[0]}: version {OLDEST[0]}.{OLDEST[1]} or later is needed.",
            retryable=False,
        )


def not_qdrant(detail: str) -> errors.ConnectionError:
    """Something else answers at the address."""
    return errors.ConnectionError(
        "What answers is no Qdrant server: check CHORUS_QDRANT_URL.", retryable=False, detail=detail
    )
