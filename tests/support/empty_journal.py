"""A migrated, empty SQLite journal, made once for each process of tests and copied for those that ask.

    put_empty_journal(folder)
    journal = SqliteJournal(folder / JOURNAL_FILE)

Each copy gets an epoch of its own when it is opened. How a journal is made and migrated is tested
where that is the question.
"""

import tempfile
from functools import cache
from pathlib import Path

from storage.journal import migrations
from storage.journal.dialect import journal_url, writing_engine
from storage.journal.sqlite import JOURNAL_FILE
from storage.private_files import make_private_file, make_private_folder


def put_empty_journal(folder: Path) -> None:
    """Put one into a data folder; a journal that is there already stays."""
    make_private_folder(folder)
    file = folder / JOURNAL_FILE
    if not file.exists():
        make_private_file(file)
        file.write_bytes(_migrated())


@cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / JOURNAL_FILE
        engine = writing_engine(journal_url(file), busy_timeout=5.0)
        with engine.begin() as connection:
            migrations.upgrade(connection)
        engine.dispose()
        return file.read_bytes()
