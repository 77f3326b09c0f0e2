"""What a person reads when a command of `chorus` was not carried out, and its exit code.

A failure is one line on standard error, three at most where several settings are wrong, and never a
traceback. All but `CommandFailed` are raised elsewhere, and imported only once there is one: the
command line's help must cost nothing.
"""

import traceback
from pathlib import Path
from typing import Final

from server.commands.printing import complain

DONE: Final = 0
NOT_DONE: Final = 1
WRONG_USE: Final = 2
"""The options or the environment are to blame."""
INTERRUPTED: Final = 130

_MAX_LINES: Final = 3


class CommandFailed(Exception):
    """The command cannot be carried out; the text is the line that a person reads."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        """2 where the options or the environment are to blame."""


def refuse(message: str, code: int) -> int:
    """Say why nothing came of it; gives `code`."""
    for line in message.splitlines()[:_MAX_LINES]:
        complain(f"chorus: {line}")
    return code


def explained(error: Exception) -> tuple[str, int]:
    """What a person reads of anything that a command may raise, and the exit code."""
    from machines.models.errors import ChorusError
    from server.chat.errors import ChatError
    from server.settings import InvalidSettings

    match error:
        case InvalidSettings():
            return str(error), WRONG_USE
        case CommandFailed():
            return str(error), error.exit_code
        case ChorusError() | ChatError():
            return str(error), NOT_DONE
        case OSError(strerror=str() as reason):
            return reason if error.filename is None else f"{error.filename}: {reason}", NOT_DONE
        case ModuleNotFoundError(name=str() as name):
            return f"The module {name} is not installed; install Chorus again.", WRONG_USE
        case _:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(frame.filename).name}:{frame.lineno}"
            return f"internal error: {type(error).__name__} at {where}; please report it", NOT_DONE
