"""The thread chart, its rules as named validators, and `StateManager`.

    active --archive--> archived (then it is only read)

Every operation is an event. The guards say who may and when; the `validate_*` functions check what
an operation made of the thread, so a defect in an `apply_to` is refused like a bad request.
"""

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from statemachine import State

from machines.chart import Chart, EdgeKind
from machines.models.domain import (
    Invalid,
    Thread,
    ThreadStatus,
    ValidationResult,
    validation,
)
from machines.models.effects import RunEffect
from machines.models.errors import InvalidTransition
from machines.models.journal import MachineTransition
from machines.models.operations import CreditTokens, DebitTokens, ThreadOperation
from machines.runtime import Accepted, Machine, Refusal


class ThreadChart(Chart):
    """Thread: a conversation with its co-authors"""

    machine = "thread"
    edge_kinds: ClassVar = {"archive": EdgeKind.CANCEL}

    class thread(State.Compound):  # noqa: N801 - a state, named as it is drawn
        active = State(initial=True)
        archived = State(final=True)

        add_message = active.to(active, on="apply")
        join = active.to(
            active,
            cond="a_co_author_or_an_approval_invites",
            unless="newcomer_is_co_author",
            on="apply",
        )
        leave = active.to(
            active, cond=["leaver_is_co_author", "another_co_author_stays"], on="apply"
        )
        rename = active.to(active, cond="actor_is_co_author", on="apply")
        credit_tokens = active.to(active, on="apply")
        debit_tokens = active.to(active, cond="balance_covers_it", on="apply")
        archive = active.to(archived, cond="actor_is_co_author", on="apply")

    # Guards

    def a_co_author_or_an_approval_invites(self) -> bool:
        """An approval has no actor: it is the electorate that lets the author in."""
        actor = self.model.event.actor
        return actor is None or actor in self.model.state.co_authors

    def newcomer_is_co_author(self) -> bool:
        return self.model.event.public_key in self.model.state.co_authors

    def leaver_is_co_author(self) -> bool:
        return self.model.event.public_key in self.model.state.co_authors

    def another_co_author_stays(self) -> bool:
        return len(self.model.state.co_authors) > 1

    def actor_is_co_author(self) -> bool:
        return self.model.event.actor in self.model.state.co_authors

    def balance_covers_it(self) -> bool:
        return bool(self.model.event.amount <= self.model.state.token_balance)

    # Callbacks

    def apply(self) -> None:
        self.model.state = self.model.event.apply_to(self.model.state)


ThreadMachine = Machine[Thread, ThreadOperation, object, RunEffect]


@cache
def thread_machine() -> ThreadMachine:
    """The chart's one machine; its table is compiled at the first event."""
    return Machine(
        ThreadChart,
        instance_of=lambda thread: thread.id,
        configuration_of=lambda thread: ("thread", thread.status.value),
    )


def validate_co_author_transition(before: Thread, after: Thread) -> ValidationResult:
    """Co-authors are never empty, listed once, and at most one joins or leaves at a time."""
    moved = set(before.co_authors) ^ set(after.co_authors)
    return validation(
        {
            "a thread has at least one co-author": not after.co_authors,
            "a co-author is listed once": len(set(after.co_authors)) != len(after.co_authors),
            "one co-author joins or leaves at a time": len(moved) > 1,
        }
    )


def validate_message_transition(before: Thread, after: Thread) -> ValidationResult:
    """Messages are append-only: at most one more, never one less."""
    return validation(
        {
            "messages are append-only": after.message_count < before.message_count,
            "one message at a time": after.message_count > before.message_count + 1,
        }
    )


def validate_token_transition(
    before: Thread, after: Thread, operation: ThreadOperation
) -> ValidationResult:
    """The balance changes only by the declared operations, and is never below zero."""
    match operation:
        case CreditTokens(amount=amount):
            expected = before.token_balance + amount
        case DebitTokens(amount=amount):
            expected = before.token_balance - amount
        case _:
            expected = before.token_balance
    return validation(
        {
            "a token balance is never below zero": after.token_balance < 0,
            "a token balance changes only by what the operation says": (
                after.token_balance != expected
            ),
        }
    )


def can_transition_to(
    before: Thread, after: Thread, operation: ThreadOperation
) -> ValidationResult:
    """Every rule between a thread and what an operation made of it."""
    results = (
        validation(
            {
                "a thread keeps its id": after.id != before.id,
                "visibility is fixed for good": after.visibility is not before.visibility,
                "a version strictly increases": after.version <= before.version,
                "an archived thread is only read": before.status is ThreadStatus.ARCHIVED,
            }
        ),
        after.validate_state(),
        validate_co_author_transition(before, after),
        validate_message_transition(before, after),
        validate_token_transition(before, after, operation),
    )
    problems = [
        problem for result in results if isinstance(result, Invalid) for problem in result.problems
    ]
    return validation(dict.fromkeys(problems, True))


@dataclass(frozen=True, slots=True)
class Success:
    """The operation was applied; a kind of TransitionResult."""

    new_state: Thread
    transitions: tuple[MachineTransition, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """The operation was refused, and nothing changed; a kind of TransitionResult."""

    error: InvalidTransition


TransitionResult = Success | Failure


class StateManager:
    """Applies operations to threads, through the chart."""

    @staticmethod
    def transition(current: Thread, operation: ThreadOperation) -> TransitionResult:
        """Fire the operation; refused ones name the guard or the rule."""
        match thread_machine().fire(current, operation):
            case Refusal() as refusal:
                return Failure(refusal.as_error())
            case Accepted(state=new, transitions=transitions):
                match can_transition_to(current, new, operation):
                    case Invalid(problems=problems):
                        return Failure(
                            InvalidTransition(
                                f"{operation.event} is refused: {'; '.join(problems)}",
                                machine="thread",
                                state=current.status.value,
                                event=operation.event,
                            )
                        )
                    case _:
                        return Success(new, transitions)
