"""Threads and operations on them, and the scenario of each edge of the thread chart."""

from collections.abc import Iterator
from typing import Any

from machines.models.ids import PublicKey
from machines.models.thread import (
    AddMessage,
    ArchiveThread,
    ConfigureThread,
    CreditTokens,
    DebitTokens,
    JoinCoAuthor,
    LeaveCoAuthor,
    RemoveCoAuthor,
    RenameThread,
    Thread,
    ThreadOperation,
    ThreadStatus,
    Visibility,
)
from machines.statechart.scenarios import Catalogue, Refused, Taken
from machines.thread import thread_machine
from tests.machines.transitions.values import ALICE, BOB, CAROL, NOW, SOON, THREAD

# --- Operations ----------------------------------------------------------------------------------


def add_message(actor: PublicKey | None = ALICE) -> AddMessage:
    """One more message."""
    return AddMessage(at=SOON, actor=actor)


def join(key: PublicKey, actor: PublicKey | None = None) -> JoinCoAuthor:
    """Somebody becomes a co-author."""
    return JoinCoAuthor(at=SOON, actor=actor, public_key=key)


def leave(key: PublicKey) -> LeaveCoAuthor:
    """A co-author goes."""
    return LeaveCoAuthor(at=SOON, actor=key, public_key=key)


def remove(key: PublicKey, actor: PublicKey | None = None) -> RemoveCoAuthor:
    """A co-author is removed."""
    return RemoveCoAuthor(at=SOON, actor=actor, public_key=key)


def rename(actor: PublicKey | None = ALICE, name: str = "Tides") -> RenameThread:
    """Another name."""
    return RenameThread(at=SOON, actor=actor, name=name)


def configure(actor: PublicKey | None = ALICE, instructions: str = "Be brief.") -> ConfigureThread:
    """What answers keep to, and which model gives them."""
    return ConfigureThread(at=SOON, actor=actor, instructions=instructions, model="large")


def archive(actor: PublicKey | None = ALICE) -> ArchiveThread:
    """No more than reading from now on."""
    return ArchiveThread(at=SOON, actor=actor)


def credit(amount: int) -> CreditTokens:
    """The operator adds to the balance."""
    return CreditTokens(at=SOON, actor=None, amount=amount, cause="a gift")


def debit(amount: int) -> DebitTokens:
    """The operator takes from the balance."""
    return DebitTokens(at=SOON, actor=None, amount=amount, cause="a bill")


def events_at(_: Thread) -> Iterator[ThreadOperation]:
    """An operation of each kind."""
    yield add_message()
    yield join(CAROL)
    yield leave(BOB)
    yield remove(BOB)
    yield rename()
    yield configure()
    yield credit(1)
    yield debit(1)
    yield archive()


# --- Threads -------------------------------------------------------------------------------------


def thread(*co_authors: PublicKey, **changes: Any) -> Thread:
    """An active thread of these co-authors, of Alice and Bob where none is named."""
    value = Thread(
        id=THREAD,
        name="Morning",
        visibility=Visibility.PRIVATE,
        co_authors=co_authors or (ALICE, BOB),
        created_at=NOW,
        updated_at=NOW,
    )
    return value.model_copy(update=changes)


# --- The catalogue -------------------------------------------------------------------------------


def catalogue() -> Catalogue:
    """Every scenario of the thread chart."""
    return Catalogue(
        machine=thread_machine(),
        taken=tuple(_taken()),
        refused=tuple(_refused()),
        standing=(thread(), thread(status=ThreadStatus.ARCHIVED, token_balance=5)),
        events_at=events_at,
    )


def _taken() -> Iterator[Taken]:
    yield Taken("edge_thread_add_message_active_active", thread(), add_message())
    yield Taken("edge_thread_join_active_active", thread(), join(CAROL))
    yield Taken("edge_thread_leave_active_active", thread(), leave(ALICE))
    yield Taken("edge_thread_remove_active_active", thread(), remove(BOB))
    yield Taken("edge_thread_rename_active_active", thread(), rename())
    yield Taken("edge_thread_configure_active_active", thread(), configure(BOB))
    yield Taken("edge_thread_credit_tokens_active_active", thread(), credit(3))
    rich = thread(token_balance=5)
    yield Taken("edge_thread_debit_tokens_active_active", rich, debit(2))
    yield Taken("edge_thread_debit_tokens_active_active", rich, debit(5))
    yield Taken("edge_thread_archive_active_archived", thread(), archive(BOB))


def _refused() -> Iterator[Refused]:
    yield Refused(("not newcomer_is_co_author",), thread(), join(BOB))
    for actor in (ALICE, CAROL):
        yield Refused(("an_approval_or_an_acceptance_admits",), thread(), join(CAROL, actor))
    yield Refused(("leaver_is_co_author",), thread(), leave(CAROL))
    yield Refused(("leaver_is_co_author",), thread(), remove(CAROL))
    yield Refused(("a_vote_removes",), thread(), remove(BOB, ALICE))
    yield Refused(("another_co_author_stays",), thread(ALICE), remove(ALICE))
    yield Refused(("another_co_author_stays",), thread(ALICE), leave(ALICE))
    for outsider in (CAROL, None):
        yield Refused(("actor_is_co_author",), thread(), rename(outsider))
        yield Refused(("actor_is_co_author",), thread(), configure(outsider))
        yield Refused(("actor_is_co_author",), thread(), archive(outsider))
    yield Refused(("balance_covers_it",), thread(token_balance=5), debit(6))
    yield Refused(("balance_covers_it",), thread(), debit(1))
