"""`get_heat`: what a machine did in a thread, for its co-authors."""

from typing import Final

from machines.models.errors import ErrorCode, RequestRefused
from machines.models.heat import MachineHeat, class_begins, whole_begins
from machines.models.wire.frames import HeatData, HeatFrame
from machines.models.wire.request_data import GetHeatData
from storage.journal.port import Journal

_MOST: Final = 2_000
"""Entries that one request may have counted, where no server has counted them yet."""


async def heat_of(journal: Journal, wanted: GetHeatData) -> HeatFrame:
    """The machine's counts in the period.

    Raises:
        RequestRefused: the period ends before it begins (INVALID_FIELD).
        JournalError: the journal cannot be asked.
    """
    if wanted.since is not None and wanted.until is not None and wanted.since >= wanted.until:
        problem = "is not before until"
        raise RequestRefused(
            ErrorCode.INVALID_FIELD,
            f"The field since {problem}.",
            details={"field": "since", "problem": problem},
        )
    found = await journal.heat(
        wanted.thread_id,
        since=wanted.since,
        until=wanted.until,
        machine=wanted.machine,
        most=_MOST,
    )
    heat = next(iter(found.machines), MachineHeat(machine=wanted.machine))
    return HeatFrame(
        data=HeatData(
            thread_id=wanted.thread_id,
            since=found.since,
            until=found.until,
            heat=heat,
            edge_steps=whole_begins(heat.edges.values()),
            state_steps_ms=class_begins(each.p95_ms for each in heat.states.values()),
            uncounted=found.uncounted,
        )
    )
