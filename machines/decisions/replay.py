"""Replay: the state of a run from its journal entries alone, through the chart. Pure."""

from collections.abc import Iterable

from machines.chorus import known_fingerprints, reconstruct_state
from machines.models.chorus import ChorusEvent, ChorusState
from machines.models.domain import Created
from machines.models.errors import StateError
from machines.models.ids import RunId
from machines.models.journal import ChorusFired, JournalEntry


def replay_run(run_id: RunId, entries: Iterable[JournalEntry]) -> ChorusState:
    """The state that a run reached by `entries`, the journal's entries about it in their order.

    Raises:
        StateError: the entries do not hold how the run began.
        InvalidTransition: an entry does not follow from the ones before it.
    """
    initial: ChorusState | None = None
    events: list[ChorusEvent] = []
    for entry in entries:
        for change in entry.changes:
            if isinstance(change, Created) and change.kind == "run" and change.id == run_id:
                initial = ChorusState.model_validate(change.value)
        events.extend(
            fired.event
            for fired in entry.fired
            if isinstance(fired, ChorusFired) and fired.instance == run_id
        )
    if initial is None:
        raise StateError("The journal does not hold how this run began.")
    return reconstruct_state(initial, events)


def written_by_this_chart(entries: Iterable[JournalEntry]) -> bool:
    """Whether every entry was accepted by the Chorus chart as it is declared now, or by its equal."""
    known = known_fingerprints()
    return all(
        known & set(entry.fingerprint.split())
        for entry in entries
        if any(isinstance(fired, ChorusFired) for fired in entry.fired)
    )
