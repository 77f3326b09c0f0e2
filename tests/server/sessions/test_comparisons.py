"""Two runs side by side, whatever lies between them."""

import json
from collections.abc import Iterator
from sys import getrecursionlimit
from uuid import UUID

from machines.decisions.changes import run_change
from machines.models.branch import Branch
from machines.models.chorus import ChorusState
from machines.models.fork import ForkPoint
from machines.models.ids import RequestId, RunId, StreamId
from machines.models.journal import JournalEntry, MachineTransition
from machines.models.wire.branch_data import CompareRunsData
from machines.models.wire.requests import CompareRunsRequest
from server.sessions.comparisons import Comparisons
from server.wire.renderer import Renderer
from tests.machines.transitions.chorus_scenarios import finished, forked
from tests.machines.transitions.values import NOW, THREAD


async def test_a_chain_of_forks_is_compared_however_long_it_is() -> None:
    journal = _Chain(getrecursionlimit() + 100)
    *_, last = journal.runs
    data = CompareRunsData(thread_id=THREAD, run_id=last, other_run_id=_name(0))
    request = CompareRunsRequest(id=RequestId("c"), data=data)
    reply = json.loads(await Comparisons(journal, Renderer()).compare(request))
    assert reply["data"]["one"]["edges"][-1] == f"edge_of_{last}"


def _name(number: int) -> RunId:
    return RunId(str(UUID(int=number)))


class _Chain:
    """What a comparison reads of runs, each of which forks the one before at its only step."""

    def __init__(self, count: int) -> None:
        self.runs = dict(self._made(count))

    def _made(self, count: int) -> Iterator[tuple[RunId, ChorusState]]:
        run = finished().changed(id=_name(0))
        yield run.id, run
        kept = forked(None).prefix
        assert kept is not None
        for number in range(1, count):
            origin = ForkPoint(run_id=run.id, step=run.steps[-1].step, iteration=1)
            run = run.changed(id=_name(number), prefix=kept.changed(origin=origin))
            yield run.id, run

    async def run(self, run_id: RunId) -> ChorusState | None:
        return self.runs.get(run_id)

    async def run_entries(self, run_id: RunId) -> tuple[JournalEntry, ...]:
        begun = MachineTransition(
            machine="chorus",
            instance=run_id,
            event="start",
            source="queued",
            target="running",
            edge=f"edge_of_{run_id}",
        )
        run = self.runs[run_id]
        return (
            JournalEntry(
                stream=StreamId("thread:t"),
                type="chorus_response",
                kind="started",
                at=NOW,
                by=None,
                data={},
                transitions=(begun,),
                changes=(run_change(None, run),),
                seq=1,
            ),
        )

    async def branch_of_run(self, run_id: RunId) -> Branch | None:
        return None
