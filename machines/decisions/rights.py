"""Who may do what in a thread, and the refusals that several decisions share.

Who may not know of a thread gets the very answer that a thread which does not exist gives.
"""

from machines.models.errors import ErrorCode, InvalidTransition, RequestRefused
from machines.models.ids import PublicKey
from machines.models.thread import Thread, Visibility
from machines.outcomes import refused
from machines.statechart import Refusal


def may_read(thread: Thread, public_key: PublicKey) -> bool:
    """A private thread is its co-authors'; a public one is anyone's who is signed in."""
    return thread.visibility is Visibility.PUBLIC or public_key in thread.co_authors


def no_such_run() -> RequestRefused:
    """The refusal of a run that the thread does not have."""
    return RequestRefused(ErrorCode.NOT_FOUND, "There is no such run.")


def no_such_value() -> RequestRefused:
    """The refusal of an id that names nothing in the thread, or nothing that its reader may know of."""
    return RequestRefused(ErrorCode.NOT_FOUND, "There is nothing of this id in the thread.")


def no_such_thread() -> RequestRefused:
    """The one answer for a thread that is not there, or not to be known of."""
    return RequestRefused(ErrorCode.NOT_FOUND, "There is no such thread.")


def reader_of(thread: Thread, by: PublicKey | None) -> PublicKey:
    """Who asks, if they may read the thread. Raises RequestRefused: not_found."""
    if by is None or not may_read(thread, by):
        raise no_such_thread()
    return by


def co_author_of(thread: Thread, by: PublicKey | None) -> PublicKey:
    """Who asks, if they are a co-author. Raises RequestRefused: not_found, forbidden."""
    reader = reader_of(thread, by)
    if reader not in thread.co_authors:
        raise RequestRefused(ErrorCode.FORBIDDEN, "Only a co-author of the thread may do that.")
    return reader


def refusal_of(machine: str, state: str, event: str, *guards: str) -> InvalidTransition:
    """What a machine would say, of a rule that no chart has an event for."""
    return refused(Refusal(machine, state, event, guards, ()))
