"""The journal that a command reads, and what it says where there is none."""

from server.commands.errors import CommandFailed
from server.settings import InvalidSettings, Settings, flag, load_settings
from storage.journal.sqlite import JOURNAL_FILE


def require_journal(settings: Settings, named_by: str = "--data or CHORUS_DATA") -> None:
    """Raises CommandFailed where the journal is a file, and not there. Blocks on the disk."""
    if settings.database_url is None and not (settings.data / JOURNAL_FILE).is_file():
        raise CommandFailed(
            f"There is no journal in {settings.data}; name the folder with {named_by}."
        )


def settings_of(place: str | None, option: str) -> Settings:
    """The settings, with the journal of a data folder or of the URL of a database where one is named.

    Args:
        option: What named it.

    Raises:
        InvalidSettings: it can be neither.
    """
    if place is None:
        return load_settings({})
    if "://" not in place:
        return load_settings({"data": place}).model_copy(update={"database_url": None})
    try:
        return load_settings({"database_url": place})
    except InvalidSettings as error:
        problems = (each.replace(flag("database_url"), option) for each in error.problems)
        raise InvalidSettings(tuple(problems)) from None
