"""Whose inbox changes by what happens in a thread. Pure, from the views that its frames show."""

from collections.abc import Iterable

from machines.models.ids import PublicKey
from machines.models.message import MessageStatus
from machines.models.wire.frames import ThreadEventKind
from machines.models.wire.views import BranchView, MessageView, RemovalView

_VOTES = frozenset(
    {
        ThreadEventKind.VOTE_CAST,
        ThreadEventKind.REMOVAL_VOTE_CAST,
        ThreadEventKind.BRANCH_VOTE_CAST,
    }
)


def inboxes_changed(
    kind: ThreadEventKind,
    by: PublicKey | None,
    message: MessageView | None,
    removal: RemovalView | None,
    branch: BranchView | None,
) -> frozenset[PublicKey]:
    """Users for whom something begins to wait, waits no more, or who are mentioned.

    Who is invited is told so in another way, and who left the thread is told nothing of it.
    """
    if kind in _VOTES and by is not None:
        return frozenset({by})
    keys: set[PublicKey] = set()
    if message is not None:
        keys.update(message.electors)
        if message.status is not MessageStatus.PENDING:
            keys.update(_mentioned(message))
    if removal is not None:
        keys.update(removal.electors)
    if branch is not None:
        keys.update(branch.electors)
    return frozenset(keys)


def _mentioned(message: MessageView) -> Iterable[PublicKey]:
    return (each.public_key for each in message.mentions)
