"""The files of a test run lie in memory, where the machine has plenty of it.

Every commit of a journal waits for the disk, and a run makes tens of thousands of them. What a process
has written outlives its death in memory as it does on a disk, which is all that tests ask of a file.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a fresh folder is made in it
_ROOM: Final = 8 << 30
"""Bytes that must be free; a run takes less than a quarter of them."""


def move_files_into_memory() -> Callable[[], None]:
    """Let this process and those that it starts keep their temporary files there.

    TMPDIR, where it is set, is taken instead. Gives what removes the folder.
    """
    usable = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK | os.X_OK)
    if "TMPDIR" in os.environ or not usable or shutil.disk_usage(_MEMORY).free < _ROOM:
        return lambda: None
    folder = tempfile.mkdtemp(prefix="chorus-tests-", dir=_MEMORY)
    Path(folder).chmod(0o755)  # PostgreSQL, which runs as another user, has its folder in it
    os.environ["TMPDIR"] = folder
    tempfile.tempdir = folder
    return lambda: shutil.rmtree(folder, ignore_errors=True)
