"""What changed in a machine: found in two declarations, drawn in one picture, told in Markdown."""

import re
from typing import Any
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from diagrams.changes import Change, EdgeChange, MachineChanges, compare
from diagrams.changes_drawing import changes_picture, changes_source, union_of
from diagrams.changes_report import Judged, report
from diagrams.usage import UsageCounter
from machines.declarations import Declaration, read_declaration
from tests.machines.changed_charts import (
    DECLARED,
    Edit,
    edited,
    with_edge,
    with_state,
    without_edge,
    without_state,
)


def changes_of(machine: str, *edits: Edit) -> MachineChanges:
    (changes,) = compare([DECLARED[machine]], [edited(machine, *edits)])
    return changes


def new_edge(at: int, id_: str, event: str, source: str, target: str, *guards: str) -> Edit:
    def edit(raw: dict[str, Any]) -> None:
        made = {"id": id_, "event": event, "source": source, "target": target, "kind": "normal"}
        raw["edges"].insert(at, {**made, "guards": list(guards), "actions": []})

    return edit


def edges_that_changed(changes: MachineChanges) -> dict[str, EdgeChange]:
    return {each.edge.id: each for each in changes.edges if each.change is not Change.KEPT}


# --- Comparing -----------------------------------------------------------------------------------

USE = "edge_invite_link_use_open_used"
EXPIRE = "edge_invite_link_expire_open_expired"


def test_nothing_changes_between_equal_declarations() -> None:
    for changes in compare(DECLARED.values(), DECLARED.values()):
        assert changes.change is Change.KEPT
        assert not changes.removes


def test_an_edge_is_added_removed_or_asked_by_other_guards() -> None:
    changes = changes_of(
        "invite_link",
        without_edge("edge_invite_link_maker_left_open_revoked"),
        with_edge(USE, guards=["not guest_is_co_author"]),
        new_edge(0, "edge_invite_link_use_drafted_used", "use", "drafted", "used"),
    )
    found = edges_that_changed(changes)
    assert {id_: each.change for id_, each in found.items()} == {
        "edge_invite_link_use_drafted_used": Change.ADDED,
        USE: Change.CHANGED,
        "edge_invite_link_maker_left_open_revoked": Change.REMOVED,
    }
    assert found[USE].says == (
        "[deadline_is_ahead, not guest_is_co_author]",
        "[not guest_is_co_author]",
    )
    assert changes.removes


def test_other_actions_and_another_kind_are_told_beside_each_other() -> None:
    changes = changes_of("invite_link", with_edge(USE, actions=[], kind="cancel"))
    assert edges_that_changed(changes)[USE].says == ("/ name_guest, close normal", "/ cancel")


def test_an_edge_that_is_declared_before_its_like_changes_none_of_them() -> None:
    changes = changes_of(
        "invite_link",
        with_edge(EXPIRE, id=f"{EXPIRE}_3"),
        new_edge(5, EXPIRE, "expire", "open", "expired", "leaver_is_maker"),
    )
    (added,) = edges_that_changed(changes).values()
    assert (added.change, added.edge.guards) == (Change.ADDED, ("leaver_is_maker",))


def test_edges_that_are_tried_in_another_order_are_changed() -> None:
    def swap(raw: dict[str, Any]) -> None:
        edges = raw["edges"]
        edges[1], edges[2] = edges[2], edges[1]

    changes = changes_of("invite_link", swap)
    said = {id_: each.says for id_, each in edges_that_changed(changes).items()}
    assert said == {
        USE: ("tried as number 1", "tried as number 2"),
        "edge_invite_link_use_open_expired": ("tried as number 2", "tried as number 1"),
    }


def test_a_state_that_ends_no_more_and_a_guard_that_means_something_else_are_changes() -> None:
    def reword(raw: dict[str, Any]) -> None:
        raw["guards"]["leaver_is_maker"] = "Who left made the link."

    changes = changes_of("invite_link", with_state("used", final=False), reword)
    (state,) = (each for each in changes.states if each.change is not Change.KEPT)
    assert (state.name, state.says) == ("used", ("final", "not final"))
    (reworded,) = changes.reworded
    assert (reworded.name, reworded.new) == ("leaver_is_maker", "Who left made the link.")
    assert changes.change is Change.CHANGED
    assert not changes.removes


def test_machines_come_and_go() -> None:
    old = [DECLARED["thread"], DECLARED["message"]]
    new = [DECLARED["message"], DECLARED["removal"]]
    assert {each.machine: each.change for each in compare(old, new)} == {
        "message": Change.KEPT,
        "removal": Change.ADDED,
        "thread": Change.REMOVED,
    }


# --- Drawing -------------------------------------------------------------------------------------


@st.composite
def declarations(draw: st.DrawFn) -> Declaration:
    """A machine of Chorus after changes of all kinds, made at random."""
    machine = draw(st.sampled_from(sorted(DECLARED)))
    raw = DECLARED[machine].model_dump(mode="json")
    for _ in range(draw(st.integers(1, 6))):
        edge = draw(st.sampled_from(raw["edges"])) if raw["edges"] else None
        atomic = [each for each in raw["states"] if each["kind"] == "atomic"]
        state = draw(st.sampled_from(atomic))
        match draw(st.integers(0, 6)):
            case 0 if edge:
                raw["edges"].remove(edge)
            case 1 if edge:
                edge["guards"] = edge["guards"][1:]
            case 2 if edge:
                edge["actions"] = [*edge["actions"], *raw["actions"]][:3]
            case 3 if edge:
                raw["edges"].remove(edge)
                raw["edges"].insert(0, edge)
            case 4 if not state["initial"]:
                without_state(state["name"])(raw)
            case 5:
                state["final"] = not state["final"]
            case _:
                name = f"new_{len(raw['states'])}"
                raw["states"].append({**state, "name": name, "initial": False})
                id_ = f"edge_{machine}_go_{state['name']}_{name}"
                if id_ not in {each["id"] for each in raw["edges"]}:
                    new_edge(0, id_, "go", state["name"], name)(raw)
    return read_declaration(Declaration.model_validate(raw, strict=False).to_json())


@given(declarations())
@settings(max_examples=60)
def test_both_declarations_are_in_one_graph_with_every_part_of_each_once(new: Declaration) -> None:
    old = DECLARED[new.machine]
    (changes,) = compare([old], [new])
    both = union_of(changes)
    names = [node.name for node in both.chart.nodes]
    assert sorted(names) == sorted({each.name for each in (*old.states, *new.states)})
    for side, of in ((old, "old"), (new, "new")):
        found = [getattr(each, of) for each in both.edges.values()]
        assert sorted(each.id for each in found if each) == sorted(each.id for each in side.edges)
    source = changes_source(changes, "title")
    assert source == changes_source(changes, "title")
    assert all(f'ID="{id_}"' in source for id_ in both.edges)
    (reverse,) = compare([new], [old])
    assert reverse.change is changes.change
    assert len(reverse.edges) == len(changes.edges)


def test_a_part_has_the_look_of_its_change_and_both_texts_where_it_changed() -> None:
    changes = changes_of(
        "invite_link",
        without_state("revoked"),
        with_edge(USE, guards=["not guest_is_co_author"]),
        new_edge(0, "edge_invite_link_use_drafted_used", "use", "drafted", "used"),
    )
    picture = ElementTree.fromstring(changes_picture(changes, "Invite link: a → b"))  # noqa: S314 - our own
    classes = {each.get("id", ""): each.get("class", "") for each in picture.iter()}
    assert classes["state_invite_link_revoked"].endswith("removed")
    assert classes["state_invite_link_open"].endswith("kept")
    assert classes["edge_invite_link_use_drafted_used"] == "edge added"
    assert classes["edge_invite_link_revoke_open_revoked"] == "edge removed"
    assert classes[USE] == "edge changed"
    (changed,) = (each for each in picture.iter() if each.get("id") == USE)
    words = " ".join(each.text or "" for each in changed.iter() if each.tag.endswith("text"))
    assert "\N{MINUS SIGN} [deadline_is_ahead, not guest_is_co_author]" in words
    assert "+ [not guest_is_co_author]" in words
    assert "Invite link: a → b" in {each.text for each in picture.iter()}


# --- What becomes of values ----------------------------------------------------------------------


def test_values_are_counted_by_the_edges_they_took_and_where_they_stand() -> None:
    withdraw = "edge_message_withdraw_pending_withdrawn"
    counter = UsageCounter(DECLARED["message"], [withdraw])
    for name in ("waiting", "gone", "strange"):
        counter.born(name)
        counter.moved(name, "edge_message_submit_submitted_pending", "submitted", "pending")
    counter.moved("gone", withdraw, "pending", "withdrawn")
    counter.moved("strange", "edge_message_hold_pending_held", "pending", "held")
    usage = counter.usage()
    assert usage.standing == {("pending",): 1}
    assert (usage.edges[withdraw].live, usage.edges[withdraw].finished) == (0, 1)
    assert usage.elsewhere == 1


def test_a_run_is_followed_through_both_regions() -> None:
    counter = UsageCounter(DECLARED["chorus"], [])
    counter.born("queued")
    counter.moved("run", "edge_chorus_start_queued_running", "queued", "running")
    counter.moved("run", "edge_chorus_network_failed_stable_recovering", "stable", "recovering")
    assert counter.usage().standing == {("action", "recovering"): 1, ("queued",): 1}


# --- Telling -------------------------------------------------------------------------------------


def test_the_summary_tells_each_change_with_both_texts_and_who_took_it() -> None:
    changes = changes_of("invite_link", with_edge(USE, guards=["not guest_is_co_author"]))
    counter = UsageCounter(DECLARED["invite_link"], [USE])
    counter.moved("link", "edge_invite_link_make_drafted_open", "drafted", "open")
    counter.moved("link", USE, "open", "used")
    counter.moved("other", "edge_invite_link_make_drafted_open", "drafted", "open")
    text = report([Judged(changes, "x.svg", counter.usage())], "a", "b", journal="a journal")
    assert "1 of 1 machine changed." in text
    assert "![Invite link: an address that lets one user in](x.svg)" in text
    assert (
        "| changed | `use` from `open` to `used` "
        "| `[deadline_is_ahead, not guest_is_co_author]` | `[not guest_is_co_author]` | 0 | 1 |"
    ) in text
    assert "| 1 | `open` | continues, and meets changes: `use` is another |" in text


def test_the_rows_of_a_summary_are_whole_whatever_a_docstring_says() -> None:
    def reword(raw: dict[str, Any]) -> None:
        raw["guards"]["leaver_is_maker"] = "left | right"

    text = report([Judged(changes_of("invite_link", reword), None, None)], "a", "b", journal=None)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {5}


def test_a_summary_of_nothing_says_so() -> None:
    changes = compare([DECLARED["thread"]], [DECLARED["thread"]])
    text = report([Judged(each, None, None) for each in changes], "a", "b", journal=None)
    assert text == "# State machines: a → b\n\nNo machine of 1 changed.\n"
