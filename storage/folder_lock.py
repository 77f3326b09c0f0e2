"""The data folder's lock: one chorus process at a time writes a folder.

The lock is the operating system's, on an open file: it ends with the process that holds it, however
that process ends, so a crash leaves nothing to clean up. The file itself stays; it says nothing.
"""

from pathlib import Path
from typing import IO

import portalocker

from machines.models.errors import JournalError
from storage.private_files import make_private_file

LOCK_FILE = "chorus.lock"


class FolderLock:
    """Exclusive use of a folder, from `acquire` to `release`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Make the folder where it is missing, and hold it.

        Raises:
            JournalError: another holder has it, or the folder cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            make_private_file(self._folder / LOCK_FILE)
            file = (self._folder / LOCK_FILE).open("a")
        except OSError as error:
            raise JournalError(
                "The data folder cannot be written: check its permissions or choose another.",
                retryable=False,
                detail=f"{self._folder}: {error}",
            ) from error
        try:
            portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
        except portalocker.AlreadyLocked as error:
            file.close()
            raise JournalError(
                "The data folder is in use by another chorus process.",
                retryable=False,
                detail=str(self._folder),
            ) from error
        except portalocker.LockException as error:
            file.close()
            raise JournalError(
                "The data folder cannot be locked: it must be on a disk that knows file locks.",
                retryable=False,
                detail=f"{self._folder}: {error}",
            ) from error
        self._file = file

    def release(self) -> None:
        """Give the folder back; without `acquire` nothing happens."""
        if self._file is not None:
            # Closing the file ends the lock.
            self._file.close()
            self._file = None
