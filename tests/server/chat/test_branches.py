"""What a user types of forks and branches, and what they are shown."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from server.chat.branches import (
    ChatComparison,
    chosen,
    compared,
    fork_of,
    listed,
    split_branch,
)
from server.chat.errors import BadInput
from server.chat.frames import OpenBranch
from server.chat.view import ChatState


def branch(**changes: Any) -> OpenBranch:
    usual = {
        "id": "b",
        "run_id": "r2",
        "origin_run_id": "r1",
        "step": "update",
        "change": "model",
        "made_by": "me",
        "status": "ready",
    }
    return OpenBranch.model_validate({**usual, **changes})


def printed(shown: Any) -> str:
    console = Console(width=100, record=True, file=StringIO())
    console.print(shown)
    return console.export_text()


@pytest.mark.parametrize(
    ("typed", "step", "iteration", "change"),
    [
        ("intention text To know more", "intention", 1, ("step_text", "text", "To know more")),
        ("Update.2 prompt And then?", "update", 2, ("prompt", "text", "And then?")),
        ("yield model  small", "yield", 1, ("model", "model", "small")),
        ("action instructions none", "action", 1, ("instructions", "text", "")),
    ],
)
def test_a_fork_is_typed_as_step_kind_and_what_is_new(
    typed: str, step: str, iteration: int, change: tuple[str, str, str]
) -> None:
    kind, field, new = change
    assert fork_of(typed) == {
        "step": step,
        "iteration": iteration,
        "change": {"kind": kind, field: new},
    }


def test_the_run_of_a_branch_is_forked_by_its_number() -> None:
    assert split_branch("branch 2 update text More") == ("2", "update text More")
    assert split_branch("update text branch 2") == (None, "update text branch 2")
    assert split_branch("branch") == ("", "")


@pytest.mark.parametrize(
    "typed", ["action", "action sing it", "update.x text a", "update.² text a"]
)
def test_what_is_no_fork_is_told_how_to_type_one(typed: str) -> None:
    with pytest.raises(BadInput, match="Usage: /fork"):
        fork_of(typed)


def test_a_branch_is_named_by_its_number_and_the_newest_by_nothing() -> None:
    two = (branch(id="one"), branch(id="two"))
    assert [chosen(two, each).id for each in ("", "1", "2")] == ["two", "one", "two"]
    with pytest.raises(BadInput, match="There is no branch 3"):
        chosen(two, "3")
    with pytest.raises(BadInput, match="No branch of this thread is open"):
        chosen((), "1")


def test_a_number_means_what_the_last_list_showed_whatever_ended_or_began_since() -> None:
    shown = ("one", "two")
    now = (branch(id="two"), branch(id="three"))
    assert [chosen(now, each, shown).id for each in ("", "2", "3")] == ["three", "two", "three"]
    with pytest.raises(BadInput, match="Branch 1 is not open any more"):
        chosen(now, "1", shown)


def test_a_list_says_what_was_changed_where_and_who_is_waited_for() -> None:
    state = ChatState(me="me")
    vote = {"co_author": "other", "decision": "approve"}
    waiting = branch(
        status="proposed", electors=("me", "other"), votes=(vote,), iteration=2, generation=3
    )
    text = printed(listed((branch(), waiting), state))
    assert "another model, from update" in text
    assert "from update of loop 2, fork 3 in a row" in text
    assert "1 of 2 agreed, waits for you" in text
    assert "No branch" in printed(listed((), state))


def test_a_comparison_marks_what_is_gone_and_what_is_new_and_no_control_characters() -> None:
    def path(text: str) -> dict[str, object]:
        return {"run_id": "r", "status": "finished", "steps": [{"step": "yield", "text": text}]}

    told = ChatComparison.model_validate(
        {
            "one": path("Salt and sea"),
            "other": path("Salt or \x1b[31msea"),
            "steps": [{"step": "yield"}, {"step": "action", "kept": True}],
            "answers": [
                {"kind": "same", "length": 5},
                {"kind": "removed", "length": 4},
                {"kind": "added", "length": 8},
                {"kind": "same", "length": 3},
            ],
        }
    )
    text = printed(compared(told))
    assert "1 of 2 steps are the same" in text
    assert "Salt [-and -]{+or" in text
    assert "\x1b" not in text
    assert "no answer yet" in printed(compared(told.model_copy(update={"answers": None})))
