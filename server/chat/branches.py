"""Forked runs and their branches: what a user types of them, and how they are shown. Pure."""

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from server.chat.errors import BadInput
from server.chat.frames import OpenBranch, WireValue
from server.chat.pieces import note, person
from server.chat.text import clean, one_line
from server.chat.view import ChatState

_KINDS: Final = {
    "text": ("step_text", "text"),
    "prompt": ("prompt", "text"),
    "model": ("model", "model"),
    "instructions": ("instructions", "text"),
}
"""By the word that a user types: the kind of a change, and the field of it that the rest is."""

_CHANGES: Final = {
    "step_text": "another text",
    "prompt": "another prompt",
    "model": "another model",
    "instructions": "other instructions",
}

FORK_USAGE: Final = "[#N | branch N] STEP text|prompt|model|instructions NEW"


class ChatSpan(WireValue):
    kind: str
    length: int


class ChatPathStep(WireValue):
    step: str
    iteration: int = 1
    text: str


class ChatPath(WireValue):
    run_id: str
    status: str
    steps: tuple[ChatPathStep, ...] = ()


class ChatDifference(WireValue):
    step: str
    iteration: int = 1
    kept: bool = False


class ChatComparison(WireValue):
    """Two runs side by side."""

    one: ChatPath
    other: ChatPath
    steps: tuple[ChatDifference, ...] = ()
    answers: tuple[ChatSpan, ...] | None = None


def split_branch(argument: str) -> tuple[str | None, str]:
    """The number of the branch that a leading `branch N` names, if there is one, and the rest."""
    first, _, rest = argument.partition(" ")
    if first.lower() != "branch":
        return None, argument
    number, _, rest = rest.strip().partition(" ")
    return number, rest.strip()


def fork_of(argument: str) -> dict[str, object]:
    """The step, its iteration and the change that a user typed. Raises BadInput.

    Args:
        argument: `STEP[.ITERATION] KIND NEW`; the run is told apart before.
    """
    step, _, rest = argument.partition(" ")
    word, _, new = rest.strip().partition(" ")
    name, _, iteration = step.partition(".")
    if word not in _KINDS or (iteration and not (iteration.isascii() and iteration.isdigit())):
        raise BadInput(f"Usage: /fork {FORK_USAGE}")
    kind, field = _KINDS[word]
    text = new.strip()
    if not text or (kind == "instructions" and text.lower() == "none"):
        text = ""
    return {
        "step": name.lower(),
        "iteration": int(iteration or 1),
        "change": {"kind": kind, field: text},
    }


def chosen(branches: Sequence[OpenBranch], argument: str, shown: Sequence[str] = ()) -> OpenBranch:
    """The branch with a number of the list, the newest where none is named. Raises BadInput.

    Args:
        branches: that are open.
        shown: ids of those that the last list showed, in its order. What was forked since stands behind them.
    """
    if not branches:
        raise BadInput("No branch of this thread is open; /fork makes one.")
    if not argument:
        return branches[-1]
    open_ = {each.id: each for each in branches}
    numbered = tuple(dict.fromkeys((*shown, *open_)))
    if argument.isascii() and argument.isdigit() and 1 <= int(argument) <= len(numbered):
        found = open_.get(numbered[int(argument) - 1])
        if found is None:
            raise BadInput(
                f"Branch {argument} is not open any more; /branches lists those that are."
            )
        return found
    raise BadInput(f"There is no branch {one_line(argument, 20)}; /branches lists them.")


def listed(branches: Sequence[OpenBranch], state: ChatState) -> RenderableType:
    """Open branches, numbered, each with what it changed and where it stands."""
    if not branches:
        return note("No branch of this thread is open.")
    grid = Table.grid(padding=(0, 2))
    for number, branch in enumerate(branches, 1):
        grid.add_row(
            Text(f"{number}", style="cyan"),
            Text(_words(branch)),
            Text(person(branch.made_by, state), style="dim"),
            Text(_standing(branch, state), style="yellow" if branch.status == "proposed" else ""),
        )
    hint = (
        "/compare N shows one beside its run, /adopt N proposes it or agrees, /refuse N does not."
    )
    return Group(grid, Text(hint, style="dim"))


def compared(told: ChatComparison) -> RenderableType:
    """Which steps two runs share, and where their answers differ, word by word."""
    kept = sum(each.kept for each in told.steps)
    parts: list[RenderableType] = [
        note(
            f"{kept} of {len(told.steps)} steps are the same. What is not in the branch stands in"
            " [-…-], what is new in it in {+…+}."
        )
    ]
    if told.answers is None or not told.one.steps or not told.other.steps:
        parts.append(note("One of the runs has no answer yet."))
        return Group(*parts)
    texts = told.one.steps[-1].text, told.other.steps[-1].text
    differing = Text(overflow="fold")
    for style, piece in _pieces(told.answers, *texts):
        differing.append(piece, style=style)
    parts.append(Padding(differing, (0, 0, 1, 2)))
    return Group(*parts)


def _pieces(spans: Sequence[ChatSpan], one: str, other: str) -> Iterator[tuple[str, str]]:
    """Style and text of each span; a text that was cut ends before its spans do."""
    at, beside = 0, 0
    for span in spans:
        if span.kind == "added":
            yield "green", f"{{+{clean(other[beside : beside + span.length])}+}}"
        elif span.kind == "removed":
            yield "red", f"[-{clean(one[at : at + span.length])}-]"
        else:
            yield "", clean(one[at : at + span.length])
        at += span.length if span.kind != "added" else 0
        beside += span.length if span.kind != "removed" else 0


def _words(branch: OpenBranch) -> str:
    later = f" of loop {branch.iteration}" if branch.iteration > 1 else ""
    change = _CHANGES.get(branch.change, one_line(branch.change, 20))
    forks = f", fork {branch.generation} in a row" if branch.generation > 1 else ""
    return f"{change}, from {one_line(branch.step, 20)}{later}{forks}"


def _standing(branch: OpenBranch, state: ChatState) -> str:
    if branch.status != "proposed":
        return one_line(branch.status, 20)
    waits = state.me in branch.electors and state.me not in {
        vote.co_author for vote in branch.votes
    }
    voted = f"{len(branch.votes)} of {len(branch.electors)} agreed"
    return f"{voted}, waits for you" if waits else voted
