"""Who may read what the stores keep: the owner of the data folder, and no other account.

Nothing that is kept is encrypted, so permissions are all that stands before it. Files that were
there before are closed to others too: a copy that was put back may be open to all. SQLite gives its
log the permissions of the database, so the database is made before SQLite opens it.

An account that does not own a file cannot change who reads it. Such a file stays as it is.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

_FILE: Final = stat.S_IRUSR | stat.S_IWUSR
_FOLDER: Final = stat.S_IRWXU
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def make_private_file(file: Path) -> None:
    """Make the file, empty, where it is missing; it is its owner's alone from then on.

    Raises OSError where it cannot be made.
    """
    os.close(os.open(file, os.O_CREAT | os.O_RDONLY, _FILE))
    _close(file)


def close_to_others(file: Path) -> None:
    """Make `file`, and whatever lies beside it under a name that begins alike, its owner's alone.

    Raises OSError where the file cannot be made.
    """
    make_private_file(file)
    for each in file.parent.glob(f"{file.name}*"):
        _close(each)


def make_private_folder(folder: Path) -> None:
    """Make the folder where it is missing; it is its owner's alone from then on.

    Raises OSError where it cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=_FOLDER)
    _close(folder)


def _close(path: Path) -> None:
    mode = path.stat().st_mode
    if mode & _OTHERS:
        with suppress(PermissionError):
            path.chmod(mode & ~_OTHERS)
