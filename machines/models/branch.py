"""A branch: the answer of a forked run and the vote on it, and the events of its chart (`machines.branch`)."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from machines.models.domain import BaseState, Frozen, ValidationResult, validation
from machines.models.fork import ChangeKind, ForkPoint
from machines.models.ids import BranchId, MessageId, PublicKey, RunId, ThreadId
from machines.models.limits import MAX_GENERATIONS
from machines.models.message import Decision
from machines.models.outputs import Omittable, Ordinal


class BranchStatus(StrEnum):
    """States of the branch chart; `FORKED` lasts only inside the transaction that forks."""

    FORKED = "forked"
    GROWING = "growing"
    READY = "ready"
    PROPOSED = "proposed"
    ADOPTED = "adopted"
    REJECTED = "rejected"
    EXPIRED = "expired"
    FAILED = "failed"
    DISCARDED = "discarded"

    @property
    def is_open(self) -> bool:
        """Whether something may still become of the branch."""
        return self in {BranchStatus.GROWING, BranchStatus.READY, BranchStatus.PROPOSED}


class BranchVote(Frozen):
    """One elector's vote."""

    co_author: PublicKey
    decision: Decision
    at: AwareDatetime


class Branch(BaseState):
    """What a forked run comes to: no part of its thread before the co-authors adopt it."""

    id: BranchId
    thread_id: ThreadId
    message_id: MessageId
    """The prompt that its run answers."""
    run_id: RunId
    """The forked run."""
    origin: ForkPoint
    """Where it left the other run."""
    generation: Ordinal = 1
    """Of its run: how many forks it descends from, itself counted."""
    change: ChangeKind
    made_by: PublicKey
    status: BranchStatus = BranchStatus.FORKED
    proposed_by: Omittable[PublicKey] = None
    """Who asks the others to adopt it; votes by proposing."""
    electors: tuple[PublicKey, ...] = ()
    """The co-authors at the proposal, less those who have left since."""
    votes: tuple[BranchVote, ...] = ()
    links: tuple[tuple[MessageId, str], ...] = ()
    """(prior, why) of those that the run selected: the memory is told of them at the adoption."""
    expires_at: AwareDatetime
    """When it ends undecided, once its answer is there; a proposal begins the time anew."""

    def validate_state(self) -> ValidationResult:
        voters = {vote.co_author for vote in self.votes}
        return validation(
            {
                "only electors vote, once each": (
                    not voters <= set(self.electors) or len(voters) != len(self.votes)
                ),
                "who proposed a branch is named": (
                    self.status is BranchStatus.PROPOSED and self.proposed_by is None
                ),
                "its lineage keeps its bound": self.generation > MAX_GENERATIONS,
                "it was updated before it was created": self.updated_at < self.created_at,
            }
        )


# --- Events --------------------------------------------------------------------------------------


class BranchForked(Frozen):
    """A co-author forks a run."""

    event: Literal["fork"] = "fork"
    at: AwareDatetime
    co_authors: tuple[PublicKey, ...]
    """Of the thread, at this moment."""


class BranchAnswered(Frozen):
    """Its run has its answer."""

    event: Literal["answer"] = "answer"
    at: AwareDatetime
    expires_at: AwareDatetime
    links: tuple[tuple[MessageId, str], ...] = ()


class BranchRunEnded(Frozen):
    """Its run failed, or was cancelled."""

    event: Literal["run_ended"] = "run_ended"
    at: AwareDatetime


class AdoptionProposed(Frozen):
    """A user asks the co-authors to adopt it."""

    event: Literal["propose"] = "propose"
    at: AwareDatetime
    by: PublicKey
    co_authors: tuple[PublicKey, ...]
    """Of the thread, at this moment: they become the electors."""
    expires_at: AwareDatetime


class BranchVoteCast(Frozen):
    """An elector decides; its name in the chart is `approve` or `reject`."""

    event: Literal["approve", "reject"]
    at: AwareDatetime
    voter: PublicKey

    @property
    def decision(self) -> Decision:
        """The vote as it is recorded."""
        return Decision(self.event)


class BranchDiscarded(Frozen):
    """A user gives it up."""

    event: Literal["discard"] = "discard"
    at: AwareDatetime
    by: PublicKey


class BranchMakerLeft(Frozen):
    """A co-author left the thread, or was removed: what they forked and nobody proposed goes too."""

    event: Literal["maker_left"] = "maker_left"
    at: AwareDatetime
    leaver: PublicKey


class BranchElectorLeft(Frozen):
    """A co-author left the thread, or was removed: the vote is looked at again."""

    event: Literal["elector_left"] = "elector_left"
    at: AwareDatetime
    elector: PublicKey


class BranchPromptSuperseded(Frozen):
    """The prompt that its run answers is written anew."""

    event: Literal["supersede_prompt"] = "supersede_prompt"
    at: AwareDatetime


class BranchExpired(Frozen):
    """The deadline passed, or the thread was archived."""

    event: Literal["expire"] = "expire"
    at: AwareDatetime
    thread_archived: bool = False


BranchEvent = Annotated[
    BranchForked
    | BranchAnswered
    | BranchRunEnded
    | AdoptionProposed
    | BranchVoteCast
    | BranchDiscarded
    | BranchMakerLeft
    | BranchElectorLeft
    | BranchPromptSuperseded
    | BranchExpired,
    Field(discriminator="event"),
]
