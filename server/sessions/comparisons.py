"""The reply to `compare_runs`: two runs of a thread side by side."""

from dataclasses import dataclass
from itertools import chain, takewhile
from typing import Protocol

from machines.decisions.forks import completes, maker_of
from machines.decisions.rights import no_such_run
from machines.decisions.views import branch_view, step_view
from machines.models.branch import Branch
from machines.models.chorus import ChorusState, RunStatus, StepCompleted
from machines.models.errors import StateError
from machines.models.fork import Change, ChangeKind
from machines.models.ids import RunId, ThreadId
from machines.models.journal import JournalEntry
from machines.models.limits import MAX_WAY
from machines.models.wire.comparison import (
    ChangeView,
    ComparisonData,
    ComparisonFrame,
    OriginView,
    RunPath,
    StepDifference,
)
from machines.models.wire.requests import CompareRunsRequest
from server.sessions.pages import FRAME_ROOM
from server.wire.bounds import least_size_of, size_of
from server.wire.codec import encode_server_frame
from server.wire.differences import differences
from server.wire.renderer import Renderer

_Way = tuple[tuple[RunId, str], ...]
"""(run that took it, id of the edge), in order."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of two runs."""

    run: ChorusState
    branch: Branch | None
    way: _Way


class RunReader(Protocol):
    """What a comparison reads of the journal, each as there."""

    async def run(self, run_id: RunId) -> ChorusState | None: ...
    async def run_entries(self, run_id: RunId) -> tuple[JournalEntry, ...]: ...
    async def branch_of_run(self, run_id: RunId) -> Branch | None: ...


class Comparisons:
    """Compares runs, off the event loop."""

    def __init__(self, journal: RunReader, renderer: Renderer) -> None:
        self._journal = journal
        self._renderer = renderer

    async def compare(self, message: CompareRunsRequest) -> str:
        """The encoded reply. Who asks must be a co-author of the thread.

        Raises:
            RequestRefused: a run is none of the thread's (not_found).
            JournalError: the journal cannot be read.
        """
        data = message.data
        whole = await self.read(data.thread_id, data.run_id, data.other_run_id)

        def encoded() -> str:
            shown = comparison_that_fits(whole)
            frame = ComparisonFrame(
                thread_id=data.thread_id,
                data=shown,
                shortened=True if shown is not whole else None,
            )
            return encode_server_frame(frame, re=message.id)

        return await self._renderer.do(encoded)

    async def read(self, thread_id: ThreadId, one: RunId, other: RunId) -> ComparisonData:
        """Two runs side by side, whole. Raises as `compare`."""
        sides = await self._side(thread_id, one), await self._side(thread_id, other)
        return await self._renderer.do(lambda: comparison_of(*sides))

    async def _side(self, thread_id: ThreadId, run_id: RunId) -> Side:
        run = await self._journal.run(run_id)
        if run is None or run.thread_id != thread_id:
            raise no_such_run()
        branch = None if run.branch_id is None else await self._journal.branch_of_run(run_id)
        return Side(run, branch, await self._way(run))

    async def _way(self, run: ChorusState) -> _Way:
        """What a run took, before it what its origin took up to the fork, and so on."""
        parts: list[list[tuple[RunId, str]]] = []
        until: StepCompleted | None = None
        while True:
            kept = run.prefix.steps if run.prefix is not None else ()
            if until is None or _place_of(kept, until) == len(kept):
                parts.append(await self._own_way(run, until))
                until = kept[-1] if kept else None
            if run.prefix is None or until is None:
                return tuple(chain.from_iterable(reversed(parts)))
            maker = maker_of(run.prefix, _place_of(kept, until))
            origin = await self._journal.run(maker)
            if origin is None:
                raise StateError("The journal lacks the run that another was forked from.")
            run = origin

    async def _own_way(
        self, run: ChorusState, until: StepCompleted | None
    ) -> list[tuple[RunId, str]]:
        """What a run took itself, up to the end of a step, or all of it."""
        own: list[tuple[RunId, str]] = []
        for entry in await self._journal.run_entries(run.id):
            own += ((run.id, edge) for edge in _edges_of(entry, run.id))
            if until is not None and completes(entry, until):
                break
        return own


def comparison_of(one: Side, other: Side) -> ComparisonData:
    """Two runs side by side, and where their texts differ."""
    ways = zip(one.way, other.way, strict=False)
    twins = [
        (record, twin)
        for record in one.run.steps
        for twin in other.run.steps
        if (record.step, record.iteration) == (twin.step, twin.iteration)
    ]
    ends: list[tuple[str, str]] = []
    if {one.run.status, other.run.status} == {RunStatus.FINISHED}:
        ends.append((one.run.steps[-1].text, other.run.steps[-1].text))
    spans = differences([*((record.text, twin.text) for record, twin in twins), *ends])
    return ComparisonData(
        one=_path(one),
        other=_path(other),
        common_edges=min(sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], ways)), MAX_WAY),
        steps=tuple(
            StepDifference(
                step=record.step,
                iteration=record.iteration,
                kept=record == twin,
                spans=spans[record.text, twin.text],
            )
            for record, twin in twins
        ),
        answers=spans[ends[0]] if ends else None,
    )


def comparison_that_fits(whole: ComparisonData) -> ComparisonData:
    """A comparison with as many of the last steps of both runs as a frame holds."""
    if size_of(whole) <= FRAME_ROOM:
        return whole
    shown, count = whole, max(len(whole.one.steps), len(whole.other.steps))
    while least_size_of(shown) > FRAME_ROOM and count:
        count //= 2
        shown = _with_last(whole, count)
    return shown


def _with_last(whole: ComparisonData, count: int) -> ComparisonData:
    one, other = (
        path.model_copy(update={"steps": path.steps[len(path.steps) - count :]})
        for path in (whole.one, whole.other)
    )
    both = {(each.step, each.iteration) for each in one.steps} & {
        (each.step, each.iteration) for each in other.steps
    }
    told = tuple(each for each in whole.steps if (each.step, each.iteration) in both)
    return whole.model_copy(update={"one": one, "other": other, "steps": told})


def _path(side: Side) -> RunPath:
    run, prefix = side.run, side.run.prefix
    origin = None
    if prefix is not None:
        origin = OriginView(**vars(prefix.origin), change=_change(prefix.change))
    # A fork that waits has not taken up what it keeps.
    asked = run if prefix is None or run.status is not RunStatus.QUEUED else prefix
    return RunPath(
        run_id=run.id,
        message_id=run.message_id,
        status=run.status.value,
        branch=None if side.branch is None else branch_view(side.branch),
        origin=origin,
        prompt=run.prompt,
        instructions=asked.instructions,
        model=asked.chosen_model,
        steps=tuple(map(step_view, asked.steps)),
        edges=tuple(edge for _, edge in side.way[:MAX_WAY]),
    )


def _change(change: Change) -> ChangeView:
    if change.kind is ChangeKind.MODEL:
        return ChangeView(kind=change.kind, model=change.text)
    return ChangeView(kind=change.kind, text=change.text)


def _place_of(steps: tuple[StepCompleted, ...], record: StepCompleted) -> int:
    """Where a step stands; behind them all where it does not."""
    keys = [(each.step, each.iteration) for each in steps]
    key = (record.step, record.iteration)
    return keys.index(key) if key in keys else len(keys)


def _edges_of(entry: JournalEntry, run_id: RunId) -> tuple[str, ...]:
    return tuple(each.edge for each in entry.transitions if each.instance == run_id)
