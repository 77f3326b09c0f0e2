"""Moves: the transitions that entries of the journal hold, each with its event and what it left. Pure."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from machines.models.domain import StateTransition
from machines.models.journal import Fired, JournalEntry, MachineTransition


@dataclass(frozen=True, slots=True)
class Move:
    """One edge that was taken."""

    seq: int
    """Of the entry that holds it, in the stream of its thread."""
    at: datetime
    taken: MachineTransition
    fired: Fired
    change: StateTransition | None
    """What it left, as far as the entry holds it."""
    fingerprint: str
    """Of the declaration that its chart had; empty where the entry names none."""


def moves_of(entry: JournalEntry) -> Iterator[Move]:
    """The transitions of an entry, in their order."""
    met: Counter[str] = Counter()
    # What was fired and what came of it are written side by side.
    for fired, taken in zip(entry.fired, entry.transitions, strict=True):
        left = [each for each in entry.changes if each.id == taken.instance]
        number = met[taken.instance]
        met[taken.instance] += 1
        yield Move(
            seq=entry.seq,
            at=entry.at,
            taken=taken,
            fired=fired,
            change=left[number] if number < len(left) else None,
            fingerprint=fingerprint_for(taken.machine, entry.fingerprint),
        )


def fingerprint_for(machine: str, fingerprints: str) -> str:
    """That of a machine among those of an entry; empty where it is not there."""
    begins = f"{machine}:"
    return next((each for each in fingerprints.split() if each.startswith(begins)), "")
