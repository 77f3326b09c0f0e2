"""What every command needs to be run: its settings, a loop, and the name of the journal that failed."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from server.settings import Settings

T = TypeVar("T")


def settings_from(**flags: str | None) -> "Settings":
    """The settings of options, then of the environment. Raises SettingsError."""
    from server.settings import load_settings

    return load_settings(flags)


def perform(settings: "Settings", work: Coroutine[Any, Any, T]) -> T:
    """Run it on a loop of its own; a failure of the journal says which one it is about."""
    with journal_named(settings):
        return asyncio.run(work)


@contextmanager
def journal_named(settings: "Settings") -> Iterator[None]:
    """Let a failure of the journal say which one it is about."""
    from machines.models.errors import JournalError
    from server.commands.errors import CommandFailed

    try:
        yield
    except JournalError as error:
        raise CommandFailed(f"{settings.journal_place}: {error.message}") from error
