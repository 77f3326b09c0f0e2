"""Options and arguments that several commands have, and the checks of what stands in them."""

from typing import Annotated, Final
from uuid import UUID

import typer

_MAX_TOKENS: Final = 10**12
"""Of one change; balances stay far below what JSON readers take for exact."""


def canonical_uuid(text: str) -> str:
    """`text` as ids are written. Raises BadParameter."""
    try:
        return str(UUID(text))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no id; ids are UUIDs") from None


def checked(text: str, name: str, limit: int) -> str:
    """`text`, if the journal takes it. Raises BadParameter.

    Args:
        name: What a person calls the option or argument.
        limit: Code points.
    """
    from machines.models.blank import is_blank

    if is_blank(text):
        problem = "it is blank"
    elif len(text) > limit:
        problem = f"it has {len(text)} characters, and at most {limit} are taken"
    elif any("\ud800" <= character <= "\udfff" for character in text):
        problem = "it is not text in UTF-8"
    elif "\0" in text:
        problem = "it has the character U+0000"
    else:
        return text
    raise typer.BadParameter(problem, param_hint=name)


Data = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="Folder of the conversations. Or CHORUS_DATA; else ./chorus-data.",
        show_default=False,
    ),
]
Journal = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="DIR|URL",
        help="Folder of the conversations, or a database as postgresql://user@host/name. Or CHORUS_DATA, "
        "CHORUS_DATABASE_URL; else ./chorus-data.",
        show_default=False,
    ),
]
At = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="SEQ|TIME",
        help="As it was after this entry, or at this time (RFC 3339).",
        show_default=False,
    ),
]
Llm = Annotated[
    str | None,
    typer.Option(
        metavar="auto|offline|URL",
        help="Which model answers: the one configured or found on this machine, none, or the one "
        "of an OpenAI-compatible endpoint. Or CHORUS_LLM; else auto.",
        show_default=False,
    ),
]
Thread = Annotated[
    str, typer.Argument(metavar="THREAD", parser=canonical_uuid, help="Id of the thread.")
]
Tokens = Annotated[
    int, typer.Argument(metavar="N", min=1, max=_MAX_TOKENS, help="How many tokens.")
]
Cause = Annotated[
    str, typer.Option(metavar="TEXT", help="Why; it is kept with the change.", show_default=False)
]
Instance = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        parser=canonical_uuid,
        help="Id of the run; or of a message, thread, invitation, link, removal or branch.",
    ),
]
