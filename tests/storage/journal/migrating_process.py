"""A process that migrates a journal a few rows at a time; run by tests as `python -m ... FILE`.

It prints a line after each transaction, and is killed by whoever started it.
"""

import sys
from pathlib import Path

from storage.journal import migrations
from storage.journal.dialect import journal_url, writing_engine
from storage.journal.migrations.each_text_once import go_on

AT_ONCE = 5


def main(file: Path) -> None:
    engine = writing_engine(journal_url(file), busy_timeout=5)
    with engine.connect() as connection:
        with connection.begin():
            migrations.upgrade(connection)
        print("upgraded", flush=True)
        left = True
        while left:
            with connection.begin():
                left = go_on(connection, AT_ONCE)
            print("rewritten", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
