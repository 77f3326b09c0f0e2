"""A release after this one: this version's code with further revisions of the journal.

    with next_release(ADDITIVE):
        migrate(address, new_epoch)

The revisions are in `tests.support.next_revisions`. Up to `ADDITIVE` servers of this version go on beside
them, behind `STOPPING` they cannot.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from storage.journal import migrations

FIRST: Final = "9001"
ADDITIVE: Final = "9003"
STOPPING: Final = "9004"

REVISIONS: Final = Path(__file__).parent / "next_revisions"


@contextmanager
def next_release(revision: str) -> Iterator[None]:
    """Let this process be of a release whose last revision is this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "VERSIONS", (*migrations.VERSIONS, REVISIONS))
        patch.setattr(migrations, "REVISION", revision)
        yield
