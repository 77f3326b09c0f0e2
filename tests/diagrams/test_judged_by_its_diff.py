"""Twelve changes as they are made to the charts of Chorus: each is judged by what its diff says, and by
nothing else. The source is that of today, changed in its text; nothing of it is imported anew.
"""

import re
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

import machines
from diagrams.changes import Change, compare
from diagrams.changes_drawing import changes_source
from diagrams.changes_report import Judged, report
from diagrams.code_changes import CodeComparison
from diagrams.source import Codebase, module_name
from tests.machines.changed_charts import DECLARED, Edit, edited, renamed_state, with_edge

TOP: Final = Path(machines.__file__).parent
WITHDRAW: Final = "edge_message_withdraw_pending_withdrawn"
REJECT: Final = "edge_message_reject_pending_rejected"
USE: Final = "edge_invite_link_use_open_used"
LEFT: Final = "edge_message_elector_left_pending_expired"


class Made(NamedTuple):
    """A change, and what must be read of it."""

    machine: str
    declared: tuple[Edit, ...] = ()
    source: tuple[str, str, str] | None = None
    """A module, a text in it, and what takes its place."""
    edges: int = 0
    """How many are not as they were."""
    says: tuple[str, ...] = ()
    """Texts of the summary."""
    drawn: tuple[str, ...] = ()
    """Words of the drawing."""


def closing(raw: dict[str, Any]) -> None:
    """A state between two, of a thread that is archived in two steps."""
    (active,) = (each for each in raw["states"] if each["name"] == "active")
    raw["states"].append({**active, "name": "closing", "initial": False})
    (archive,) = (each for each in raw["edges"] if each["event"] == "archive")
    id_ = archive["id"].replace("active_archived", "closing_archived")
    raw["edges"].append({**archive, "id": id_, "source": "closing"})
    archive.update(id=archive["id"].replace("archived", "closing"), target="closing")


def reworded(raw: dict[str, Any]) -> None:
    raw["guards"]["leaver_is_maker"] = "Who left made the link."


CHANGES: Final = {
    "a guard is dropped": Made(
        "message",
        (with_edge(WITHDRAW, guards=[]),),
        edges=1,
        says=(
            "| changed | `withdraw` from `pending` to `withdrawn` | `[author_asks]` | `[]` |",
            "- `author_asks`: The author asks, who alone may withdraw the message or write it anew.",
        ),
        drawn=("[author_asks]", "author_asks: The author asks, who alone may"),
    ),
    "a guard is negated": Made(
        "invite_link",
        (with_edge(USE, guards=["deadline_is_ahead", "guest_is_co_author"]),),
        edges=1,
        says=(
            "| `[deadline_is_ahead, not guest_is_co_author]`"
            " | `[deadline_is_ahead, guest_is_co_author]` |",
            "- `guest_is_co_author`: Who opens the link is a co-author already",
        ),
        drawn=("guest_is_co_author]",),
    ),
    "a bound is another": Made(
        "chorus",
        source=("machines.loop.guards", "run.iteration < run", "run.iteration <= run"),
        edges=1,
        says=(
            "-    return run.iteration < run.max_iterations\n"
            "+    return run.iteration <= run.max_iterations\n",
            "`iterations_left` (guard):",
            "- `step_completed` from `update` to `action`",
        ),
        drawn=("changed: iterations_left", "run.iteration &lt;= run.max_iterations"),
    ),
    "an edge leads elsewhere": Made(
        "message",
        (with_edge(LEFT, target="rejected"),),
        edges=2,
        says=(
            "| removed | `elector_left` from `pending` to `expired` |",
            "| leads to `rejected` |",
            "| added | `elector_left` from `pending` to `rejected` | led to `expired` |",
        ),
    ),
    "an effect is added": Made(
        "message",
        (with_edge(REJECT, actions=["count_vote", "close_vote", "forget"]),),
        edges=1,
        says=(
            "| `/ count_vote, close_vote` | `/ count_vote, close_vote, forget` |",
            "- `forget`: A message that was written anew",
        ),
    ),
    "an effect says something else": Made(
        "invite_link",
        source=(
            "machines.invite_link",
            "due_at=link.expires_at",
            "due_at=link.created_at",
        ),
        edges=7,
        says=(
            "`deadline_of` used by `close`, `wait_for_guest`:",
            "-        due_at=link.expires_at,\n+        due_at=link.created_at,\n",
            "<summary>on 7 edges</summary>",
        ),
        drawn=("changed: wait_for_guest through deadline_of",),
    ),
    "a state has another name": Made(
        "lease",
        (renamed_state("suspect", "doubtful"),),
        edges=8,
        says=(
            "1 state removed, 1 state added, 4 edges removed, 4 edges added.",
            "`doubtful` is `suspect` by another name: the edges to it and from it are the same.",
            "| added | `renewed` from `doubtful` to `live` | led from `suspect` |",
        ),
        drawn=("doubtful is suspect by another name",),
    ),
    "a time is longer": Made(
        "lease",
        source=("machines.models.lease", "self.seconds * 3 / 5", "self.seconds * 4 / 5"),
        edges=1,
        says=(
            "`LeasePolicy.suspect_seconds` used by `renewal_is_overdue`:",
            "-    return self.seconds * 3 / 5\n+    return self.seconds * 4 / 5\n",
            "- `checked` from `live` to `suspect`",
        ),
    ),
    "a state stands between": Made(
        "thread",
        (closing,),
        edges=3,
        says=(
            "| added | state `closing` |",
            "| removed | `archive` from `active` to `archived` |",
            "| leads to `closing` |",
            "| added | `archive` from `closing` to `archived` |",
        ),
    ),
    "a docstring alone": Made(
        "invite_link",
        (reworded,),
        source=(
            "machines.invite_link",
            "The co-author who left is the one who made the link.",
            "Who left made the link.",
        ),
        edges=0,
        says=(
            "1 description changed.",
            "| guard `leaver_is_maker` means, with the same code"
            " | The co-author who left is the one who made the link. | Who left made the link. |",
        ),
        drawn=("guard leaver_is_maker means", "Who left made the link."),
    ),
    "a helper is another": Made(
        "message",
        source=("machines.message", "for elector in message.electors if elector != but)", ")"),
        edges=3,
        says=(
            "`_others_approved` used by `every_other_elector_approved`,"
            " `every_remaining_elector_approved`:",
            "- `approve` from `pending` to `approved`",
        ),
    ),
    "a constant is another": Made(
        "connection",
        source=("machines.connection_rules", "FAILURES = 3", "FAILURES = 5"),
        edges=6,
        says=(
            "`MAX_SIGN_IN_FAILURES` used by `failures_left`:",
            "-MAX_SIGN_IN_FAILURES = 3\n+MAX_SIGN_IN_FAILURES = 5\n",
        ),
        drawn=("failures_left through MAX_SIGN_IN_FAILURES",),
    ),
}


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """The modules of the charts and of what they use."""
    files = {file: file.relative_to(TOP.parent).with_suffix("") for file in TOP.rglob("*.py")}
    return {module_name(name.parts): file.read_text("utf-8") for file, name in files.items()}


@pytest.fixture(scope="module")
def today(texts: dict[str, str]) -> Codebase:
    packages = [name for name in texts if any(each.startswith(f"{name}.") for each in texts)]
    return Codebase(texts, packages)


@pytest.mark.parametrize("made", CHANGES.values(), ids=CHANGES)
def test_what_changed_and_where_it_counts_is_read_from_the_diff(
    made: Made, texts: dict[str, str], today: Codebase
) -> None:
    new = dict(texts)
    if made.source is not None:
        module, was, now = made.source
        assert texts[module].count(was) == 1, f"{module} has {was!r} no more: choose another text"
        new[module] = texts[module].replace(was, now)
    packages = [name for name in texts if any(each.startswith(f"{name}.") for each in texts)]
    code = CodeComparison(today, Codebase(new, packages, like=today))
    old, changed = DECLARED[made.machine], edited(made.machine, *made.declared)
    (changes,) = compare([old], [changed], code)
    assert not changes.lacks_code, "the code of every guard and action is found"
    assert sum(each.change is not Change.KEPT for each in changes.edges) == made.edges
    text = report([Judged(changes, None, None)], "a", "b", journal=None)
    for said in made.says:
        assert said in text
    words = " ".join(re.sub("<[^>]+>", " ", changes_source(changes, "title")).split())
    for said in made.drawn:
        assert said in words


def test_the_code_of_all_guards_and_actions_is_found_and_as_it_is(today: Codebase) -> None:
    every = compare(DECLARED.values(), DECLARED.values(), CodeComparison(today, today))
    assert {each.machine: each.change for each in every} == dict.fromkeys(DECLARED, Change.KEPT)
    assert not [each.machine for each in every if each.lacks_code]
