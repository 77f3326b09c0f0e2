"""What the kernel's outcomes are here: an error of the tree, and a line of the journal."""

from machines.models.errors import InvalidTransition
from machines.models.journal import MachineTransition
from machines.statechart import Accepted, Refusal


def refused(refusal: Refusal) -> InvalidTransition:
    """The refusal as an error of the tree."""
    return InvalidTransition(
        str(refusal),
        machine=refusal.machine,
        state=refusal.state,
        event=refusal.event,
        guards=refusal.guards,
        allowed=refusal.allowed,
    )


def recorded(accepted: Accepted[object, object, object], instance: str) -> MachineTransition:
    """What an entry of the journal says of a transition of the value with the id `instance`."""
    edge = accepted.edge
    return MachineTransition(
        machine=edge.machine,
        instance=instance,
        event=edge.event,
        source=edge.source,
        target=edge.target,
        edge=edge.id,
        effects=tuple([type(effect).__name__ for effect in accepted.effects]),
        passed_over=tuple([guard.label for guard in accepted.passed_over]),
    )
