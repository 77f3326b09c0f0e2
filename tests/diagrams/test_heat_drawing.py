"""What a machine did is drawn on its committed drawing, and can be read without its colours."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

import diagrams
from diagrams.heat_drawing import heat_picture, unknown_edges
from diagrams.heat_scale import NEVER_DOTS
from diagrams.heat_words import duration_text
from diagrams.svg import read
from machines.charts import journaled_machines
from machines.models.heat import GuardCount, HeldTimes, MachineHeat, StepTokens
from machines.statechart import topology
from tests.diagrams.colors import lightness

FOLDER = Path(diagrams.__file__).parent
START = "edge_chorus_start_queued_running"
FIRST = "edge_chorus_step_completed_action_experience"
SEARCHED = "edge_chorus_priors_retrieved_experience_experience"

HEAT = MachineHeat(
    machine="chorus",
    edges={START: 1, FIRST: 1_204, SEARCHED: 30},
    states={
        "action": HeldTimes(count=1_204, p50_ms=350, p95_ms=90_000),
        "queued": HeldTimes(count=1, p50_ms=2, p95_ms=2),
        "running": HeldTimes(count=1, p50_ms=90_000, p95_ms=90_000),
    },
    steps={
        "action": StepTokens(answers=3, counted=2, prompt_tokens=2_400, completion_tokens=90),
    },
    refused=(GuardCount(event="start", guard="thread_is_free", count=7),),
)


def committed(machine: str) -> str:
    return (FOLDER / f"{machine}.svg").read_text(encoding="utf-8")


def drawn(heat: MachineHeat = HEAT) -> dict[str, ElementTree.Element]:
    root = ElementTree.fromstring(heat_picture(committed(heat.machine), heat, ["all threads"]))  # noqa: S314
    return {"": root} | {each.get("id", ""): each for each in root.iter() if each.get("id")}


def part(element: ElementTree.Element, name: str) -> ElementTree.Element:
    return next(each for each in element if each.get("class") == name)


def words(element: ElementTree.Element) -> str:
    return " | ".join(each.text or "" for each in element.iter() if each.text and each.text.strip())


@pytest.mark.parametrize("machine", [each.topology.machine for each in journaled_machines()])
def test_everything_stands_where_it_stands_in_the_committed_drawing(machine: str) -> None:
    chart = next(
        topology(each.chart) for each in journaled_machines() if each.topology.machine == machine
    )
    all_taken = MachineHeat(machine=machine, edges={edge.id: 3 for edge in chart.edges})
    before = ElementTree.fromstring(committed(machine))  # noqa: S314
    after = drawn(all_taken)
    assert (
        read(heat_picture(committed(machine), all_taken, [])).texts
        == read(committed(machine)).texts
    )
    for element in before.iter():
        if element.get("id"):
            kept = after[element.get("id", "")]
            ways = [
                [each.get("d") for each in it.iter() if each.get("d")] for it in (element, kept)
            ]
            assert ways[0] == ways[1]
    counts = [each for each in after[""].iter() if (each.text or "") == "3\N{MULTIPLICATION SIGN}"]
    labelled = [
        id_
        for id_, text in read(committed(machine)).texts.items()
        if id_[:5] == "edge_" and any(text)
    ]
    assert len(counts) == len(labelled) + 1, "and what the scale begins with"


def test_an_edge_is_wider_and_darker_the_more_often_it_was_taken() -> None:
    elements = drawn()
    seldom, often = (part(elements[id_], "line") for id_ in (START, FIRST))
    assert float(often.get("stroke-width", "")) > 3 * float(seldom.get("stroke-width", ""))
    assert lightness(often.get("stroke", "")) < lightness(seldom.get("stroke", ""))
    never = elements["edge_chorus_step_completed_update_action"]
    assert part(never, "line").get("stroke-dasharray") == NEVER_DOTS
    assert part(never, "head").get("fill") == "none", "not by colour alone"
    assert not [each for each in never.iter() if each.get("opacity")], "its words are readable"
    assert part(elements[SEARCHED], "row").get("fill") == "#ffffff", (
        "a label in a state stays readable"
    )


def test_a_state_is_darker_the_longer_it_was_held_and_its_name_is_read_on_it() -> None:
    elements = drawn()
    shapes = {name: elements[f"state_chorus_{name}"] for name in ("queued", "action", "update")}
    fills = {
        name: next(iter(each.iter("{http://www.w3.org/2000/svg}path"))).get("fill", "")
        for name, each in shapes.items()
    }
    assert lightness(fills["action"]) < lightness(fills["queued"])
    assert fills["update"] == "#e8f0fe", "as it was"
    names = {
        name: next(each for each in shapes[name].iter() if (each.text or "") == name)
        for name in shapes
    }
    assert names["action"].get("fill") == "#ffffff"
    assert names["queued"].get("fill") == "#1f2937"


def test_words_units_and_the_whole_story_stand_in_labels_legend_and_tooltips() -> None:
    elements = drawn()
    whole = words(elements[""])
    assert "p50 350 ms, p95 1.5 min | 1,200 + 45 tokens" in whole
    assert "p50 1.5 min, p95 1.5 min" in whole, "of the run as a whole"
    assert "Heat of chorus: all threads" in whole
    assert "start [thread_is_free] 7\N{MULTIPLICATION SIGN}" in whole
    assert (
        "1\N{MULTIPLICATION SIGN} | refused 7\N{MULTIPLICATION SIGN} by | thread_is_free" in whole
    )
    assert "how often it was taken, logarithmic scale, from | 1\N{MULTIPLICATION SIGN} | 5" in whole
    assert "An edge that was never taken" in whole
    assert words(elements[START]).startswith(
        "taken 1 times\nthread_is_free refused 7 times\nstart [thread_is_free, not is_forked]"
    )
    assert "action: left 1,204 times" in words(elements["state_chorus_action"])
    view, before = (
        list(map(float, root.get("viewBox", "").split()))
        for root in (elements[""], ElementTree.fromstring(committed("chorus")))  # noqa: S314
    )
    assert view[:3] == before[:3]
    assert view[3] > before[3], "the legend is below"


def test_a_machine_that_did_nothing_is_drawn_too() -> None:
    assert "Heat of removal: " in words(drawn(MachineHeat(machine="removal"))[""])


def test_edges_of_an_earlier_declaration_are_told_apart() -> None:
    heat = HEAT.model_copy(update={"edges": {START: 1, "edge_chorus_gone": 4}})
    assert unknown_edges(committed("chorus"), heat) == {"edge_chorus_gone": 4}
    assert "edge_chorus_gone" not in heat_picture(committed("chorus"), heat, [])


@pytest.mark.parametrize("text", ["", "<svg", "<svg xmlns='http://www.w3.org/2000/svg'/>"])
def test_what_is_no_drawing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="it "):
        heat_picture(text, HEAT, [])


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 ms"),
        (1.234, "1.23 ms"),
        (999.4, "999 ms"),
        (999.9, "1 s"),
        (59_990, "1 min"),
        (90_000, "1.5 min"),
        (3_600_000, "1 h"),
        (5 * 86_400_000, "5 d"),
    ],
)
def test_a_time_has_the_unit_in_which_it_is_short(ms: float, text: str) -> None:
    assert duration_text(ms) == text
