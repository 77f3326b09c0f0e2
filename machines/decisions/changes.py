"""What decisions are made of and come to: changes of values, and the batch that makes them durable."""

from dataclasses import dataclass
from typing import TypeVar

from machines.branch import branch_machine
from machines.chorus import chorus_machine
from machines.invitation import invitation_machine
from machines.invite_link import invite_link_machine
from machines.message import message_machine
from machines.models.chorus import ChorusState
from machines.models.commands import Facts
from machines.models.domain import BaseState, StateTransition, Updated
from machines.models.effects import RunEffect
from machines.models.errors import ChorusError
from machines.models.ids import BranchId, MessageId, RunId
from machines.models.journal import Batch, Fired, MachineTransition, creation_of, fields_of
from machines.removal import removal_machine
from machines.thread import thread_machine

V = TypeVar("V", bound=BaseState)


@dataclass(frozen=True, slots=True)
class Decided:
    """What a command comes to."""

    batch: Batch
    facts: Facts
    """The thread as it is once the batch is durable."""
    effects: tuple[RunEffect, ...]
    """To be performed once the batch is durable."""
    message_id: MessageId | None = None
    run_id: RunId | None = None
    branch_id: BranchId | None = None
    refused: ChorusError | None = None
    """The batch is committed, and the caller is refused all the same (a vote that came too late)."""


@dataclass(frozen=True, slots=True)
class Change:
    """What machines did: the parts of the entry that tells it."""

    fired: tuple[Fired, ...] = ()
    transitions: tuple[MachineTransition, ...] = ()
    changes: tuple[StateTransition, ...] = ()

    def __add__(self, other: "Change") -> "Change":
        return Change(
            self.fired + other.fired,
            self.transitions + other.transitions,
            self.changes + other.changes,
        )


def run_change(before: ChorusState | None, run: ChorusState) -> StateTransition:
    """A run without what its events and earlier entries hold.

    Priors are only ever added, behind those that are there.
    """
    if before is None:
        return creation_of("run", run, "messages", "instructions", "priors", "steps")
    fields = fields_of(
        run, "prompt", "prefix", "messages", "instructions", "query", "priors", "steps"
    )
    if run.query != before.query:
        fields["query"] = run.query
    if added := run.priors[len(before.priors) :]:
        fields["priors"] = tuple(each.message_id for each in added)
    return Updated(kind="run", id=run.id, version=run.version, value=fields)


def fingerprint_of(machine: str) -> str:
    """Of the chart that a machine runs."""
    match machine:
        case "chorus":
            return chorus_machine().fingerprint
        case "message":
            return message_machine().fingerprint
        case "invitation":
            return invitation_machine().fingerprint
        case "invite_link":
            return invite_link_machine().fingerprint
        case "removal":
            return removal_machine().fingerprint
        case "branch":
            return branch_machine().fingerprint
        case _:
            return thread_machine().fingerprint


def keep(values: dict[str, V], value: V, *, is_open: bool) -> None:
    """Let `values` hold this version of a value while it is open, and no version of it after."""
    if is_open:
        values[value.id] = value
    else:
        values.pop(value.id, None)
