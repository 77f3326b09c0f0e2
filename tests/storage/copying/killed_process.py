"""A copy that kills itself; run by tests as `python -m ... FROM TO CHUNKS`.

SIGKILL comes after so many chunks, in chunks of two rows.
"""

import os
import signal
import sys
from pathlib import Path

from storage.copying import tables
from storage.copying.copier import Progress, copy
from storage.copying.database import DatabasePlace
from storage.copying.folder import FolderPlace
from storage.copying.place import Place
from storage.journal.postgres.address import PostgresAddress


def place(name: str) -> Place:
    if "://" in name:
        return DatabasePlace(PostgresAddress.parse(name), lambda: "made")
    return FolderPlace(Path(name))


def main(source: str, target: str, chunks: int) -> None:
    left = chunks

    def tell(_: Progress) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    tables.MOST_ROWS = 2  # type: ignore[misc]
    copy(place(source), place(target), epoch="killed", notes={}, tell=tell)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
