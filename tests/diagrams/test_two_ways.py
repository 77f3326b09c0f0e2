"""Two ways through a machine stand on its own drawing, each with a colour and a line of its own."""

import re
from importlib import resources
from xml.etree import ElementTree

import pytest

from diagrams.two_ways import with_two_ways

START = "edge_chorus_start_queued_running"
ACTION = "edge_chorus_step_completed_action_experience"
FORK = "edge_chorus_start_queued_experience"
YIELD = "edge_chorus_step_completed_yielding_finished"


def drawing() -> str:
    return resources.files("diagrams").joinpath("chorus.svg").read_text(encoding="utf-8")


def look_of(svg: str, edge: str) -> tuple[str, str]:
    """Colour and dashes of an edge that is marked."""
    found = re.search(
        rf"#{edge} \.line {{ stroke: (\S+); stroke-width: 3.5; stroke-dasharray: ([^}}]+?) }}", svg
    )
    assert found is not None, f"{edge} is not marked"
    return found[1], found[2]


def test_what_is_shared_and_each_way_have_looks_of_their_own_which_the_legend_names() -> None:
    svg = with_two_ways(drawing(), common=(START,), one=(ACTION, YIELD), other=(FORK, YIELD))
    looks = [look_of(svg, edge) for edge in (START, ACTION, FORK, YIELD)]
    assert len({color for color, _ in looks}) == 4
    assert len({dashes for _, dashes in looks}) == 4
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own drawing
    legend = root.findall(".//{http://www.w3.org/2000/svg}g[@class='ways']/*")
    lines = [each.attrib for each in legend if each.tag.endswith("path")]
    assert [(each["stroke"], each["stroke-dasharray"]) for each in lines] == looks
    assert [each.text for each in legend if each.tag.endswith("text")] == [
        "both, before the fork",
        "the one run",
        "the other run",
        "both, each by itself",
    ]
    _, _, _, bottom = map(float, root.attrib["viewBox"].split())
    assert all(float(each.attrib["y"]) < bottom for each in legend if each.tag.endswith("text"))


def test_an_edge_that_the_drawing_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="no such edge"):
        with_two_ways(drawing(), common=(), one=("edge_chorus_nowhere",), other=())
    with pytest.raises(ValueError, match="no drawing of ours"):
        with_two_ways("<svg></svg>", common=(), one=(), other=())
