"""What is open until a deadline counts nothing that comes at it or behind it, in every chart that has one."""

from typing import Final

import pytest

from machines.branch import BranchChart
from machines.invitation import InvitationChart
from machines.invite_link import InviteLinkChart
from machines.message import MessageChart
from machines.removal import RemovalChart
from machines.statechart import AnyChart, Edge, topology

CHARTS: Final[dict[AnyChart, tuple[set[str], str]]] = {
    MessageChart: ({"pending"}, "approved"),
    InvitationChart: ({"invited"}, "accepted"),
    InviteLinkChart: ({"open"}, "used"),
    RemovalChart: ({"proposed"}, "removed"),
    BranchChart: ({"ready", "proposed"}, "adopted"),
}
"""Where a value waits for its deadline, and what becomes of it if all agree."""

NEED_NOT: Final = {
    ("invitation", "admit"): "the key is let in already, in another way",
    ("removal", "expire"): "a proposer who decides alone has to wait for the deadline",
}
"""By machine and event: why the deadline does not matter."""


def looks_at_the_deadline(edge: Edge, before: list[Edge]) -> bool:
    """Whether it is taken before the deadline alone: by a guard, or since another edge is taken else."""
    labels = {guard.label for guard in edge.guards}
    return "deadline_is_ahead" in labels or any(
        {guard.label for guard in other.guards} <= {*labels, "not deadline_is_ahead"}
        for other in before
    )


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.machine)
def test_what_keeps_a_value_open_or_fulfils_it_looks_at_the_deadline(chart: AnyChart) -> None:
    waiting, fulfilled = CHARTS[chart]
    shape = topology(chart)
    excused, looked_at = set(), 0
    for place, edge in enumerate(shape.edges):
        if edge.source not in waiting or edge.target not in {*waiting, fulfilled}:
            continue
        same = [each for each in shape.edges[:place] if each.event == edge.event]
        before = [each for each in same if each.source == edge.source]
        if (edge.machine, edge.event) in NEED_NOT:
            excused.add(edge.event)
        else:
            assert looks_at_the_deadline(edge, before), edge.id
            looked_at += 1
    assert looked_at
    assert excused == {event for machine, event in NEED_NOT if machine == chart.machine}


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.machine)
def test_archiving_ends_what_waits_by_the_same_guards_in_every_chart(chart: AnyChart) -> None:
    archived = {
        edge.source: [guard.label for guard in edge.guards]
        for edge in topology(chart).edges
        if "thread_is_archived" in {guard.label for guard in edge.guards}
    }
    waiting, _ = CHARTS[chart]
    assert archived == {state: ["deadline_is_ahead", "thread_is_archived"] for state in waiting}
