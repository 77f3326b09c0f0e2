"""The spans of a run, from its journal entries: one trace, whoever carried the run and however often.

    invoke_agent chorus                 the run, from its request to its end
      queued                            while another run of the thread was under way
      step action                       each step of each iteration
        chat gpt-5                      each attempt of the model
        wait                            each wait for the next attempt
      step experience
        retrieval                       each search of the memory
        chat gpt-5
      ...

What a span stands for is ended by an accepted transition, which its attributes name: `chorus.event`,
`chorus.edge`, `chorus.seq`. A server that is lost ends the attempt that it performed, and the run has an
event `chorus.resumed`. A forked run links to the run that it left. No span holds a text of anybody,
unless content is asked for.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, assert_never

from pydantic_core import to_json

from machines.models.chorus import (
    AIFailed,
    AttemptDelayed,
    CarrierLost,
    ChartChanged,
    ChorusEvent,
    NetworkFailed,
    Prefix,
    PriorsRetrieved,
    RetryDue,
    RunCancelled,
    RunStarted,
    RunStatus,
    StateLost,
    StepCompleted,
)
from machines.models.domain import Created, Deleted
from machines.models.effects import AICall, RecallPriors
from machines.models.journal import ChorusFired, JournalEntry, MachineTransition
from machines.models.message import EXTRACTIVE_MODEL
from machines.models.outputs import StepEnum
from server.telemetry import conventions as names
from server.telemetry.decision_spans import approval_link
from server.telemetry.span import (
    RUN_ROOT,
    Attribute,
    Span,
    SpanEvent,
    SpanKind,
    SpanLink,
    link_to,
    nanoseconds,
    span_id_of,
    trace_id_of,
)

RESUMED: Final = "chorus.resumed"
MEMORY_UNAVAILABLE: Final = "memory_unavailable"

FIRST: Final = 1
"""The version of a run that came to be."""

_FINAL: Final = frozenset(each.value for each in RunStatus if each.final)
_WRITES_TEXT: Final = frozenset({StepEnum.ACTION.value, StepEnum.YIELD.value})


@dataclass(slots=True)
class _Open:
    """A span whose end is not told yet."""

    place: str
    """In the trace; its id follows from it."""
    id: int
    name: str
    start: int
    attributes: dict[str, Attribute] = field(default_factory=dict)
    parent: "_Open | None" = None


class RunTrace:
    """Takes a run's entries in order, and gives its spans.

    What it keeps is small: numbers and names, and texts only where content is asked for.
    """

    def __init__(self, run_id: str, *, content: bool) -> None:
        """
        Args:
            content: Whether spans hold the prompt, what was searched for and found, and what the model
                wrote.

        Raises:
            ValueError: `run_id` is no UUID.
        """
        self.run_id = run_id
        self.version = 0
        """Of the run, as the last entry left it; where the next entry has another one than the next, some
        are missing."""
        self._trace_id = trace_id_of(run_id)
        self._at = 0
        self._content = content
        self._root = self._opened(RUN_ROOT, f"{names.INVOKE_AGENT} {names.CHORUS}")
        self._message_id = ""
        self._place_of_step: tuple[str, int] | None = None
        self._step: _Open | None = None
        self._work: _Open | None = None
        """The attempt, search or wait under way; beside a step there is one at most."""
        self._queued: _Open | None = None
        self._spans: list[Span] = []
        self._events: list[SpanEvent] = []
        self._approval: SpanLink | None = None
        self._origin: SpanLink | None = None
        self._ended = False
        self._failure: str | None = None
        self._model: str | None = None
        self._asked_model: str | None = None
        self._query = ""
        self._said: str | None = None
        """The text of the newest completed step, where content is asked for."""
        self._tokens: dict[str, int] = {}
        self._rebuilds = 0

    def take(self, entry: JournalEntry) -> None:
        """The next entry that is about the run."""
        self._at = nanoseconds(entry.at)
        value = self._value_of(entry)
        for fired, taken in zip(entry.fired, entry.transitions, strict=True):
            if isinstance(fired, ChorusFired) and fired.instance == self.run_id:
                self._move(fired.event, taken, entry.seq, value)

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self._ended

    def spans(self) -> tuple[Span, ...]:
        """All spans, the root last. What is not over ends with the last entry, and says so."""
        open_ = [each for each in (self._work, self._queued, self._step) if each is not None]
        unfinished = [] if self._ended else [*open_, self._root]
        rest = [
            self._span(each, {**self._attributes_of(each), names.UNFINISHED: True})
            for each in unfinished
        ]
        return (*self._spans, *rest)

    # Entries

    def _value_of(self, entry: JournalEntry) -> Mapping[str, object]:
        """What the entry says of the run's value; it may say nothing."""
        value: Mapping[str, object] = {}
        for change in entry.changes:
            if isinstance(change, Deleted):
                continue
            if change.kind == "run" and change.id == self.run_id:
                value = change.value
                self.version = change.version
                if isinstance(change, Created):
                    self._begin(value)
                self._query = str(value.get("query", self._query))
            elif (change.kind, change.id) == ("message", self._message_id):
                waited = bool(change.value.get("approvals"))
                self._approval = approval_link(change.id) if waited else None
        return value

    def _begin(self, value: Mapping[str, object]) -> None:
        """The run came to be."""
        self._message_id = str(value["message_id"])
        self._root.start = self._at
        self._root.attributes = {
            names.OPERATION: names.INVOKE_AGENT,
            names.AGENT: names.CHORUS,
            names.CONVERSATION: str(value["thread_id"]),
            names.RUN: self.run_id,
            names.MESSAGE: self._message_id,
        }
        if value.get("branch_id") is not None:
            self._root.attributes[names.BRANCH] = str(value["branch_id"])
        self._origin = _origin_of(value)
        if self._content:
            self._root.attributes[names.INPUT_MESSAGES] = _said("user", str(value["prompt"]))
        self._queued = self._opened("queued", "queued")

    def _move(
        self,
        event: ChorusEvent,
        taken: MachineTransition,
        seq: int,
        value: Mapping[str, object],
    ) -> None:
        by: dict[str, Attribute] = {**names.ended_by(taken, seq)}
        self._take_event(event, by)
        if value.get("chosen_model") is not None:
            self._asked_model = str(value["chosen_model"])
        self._root.attributes[names.ITERATIONS] = _number(value["iteration"])
        self._enter_step(value)
        attempt = _number(value["attempt"])
        for effect in taken.effects:
            if effect == AICall.__name__:
                self._begin_work(names.CHAT, attempt)
            elif effect == RecallPriors.__name__:
                self._begin_work(names.RETRIEVAL, attempt)
        if (status := str(value["status"])) in _FINAL:
            self._end(status)

    def _take_event(self, event: ChorusEvent, by: dict[str, Attribute]) -> None:
        match event:
            case RunStarted():
                if self._queued is not None and self._at > self._queued.start:
                    self._close(self._queued, by)
                self._queued = None
            case PriorsRetrieved():
                self._end_search(event, by)
            case StepCompleted():
                self._end_answer(event, by)
            case AIFailed() | NetworkFailed():
                self._end_failed(event.code.value, by, event.partial)
            case AttemptDelayed():
                # The endpoint was not asked.
                self._work = None
                self._begin_wait(event.attempt, event.code.value)
            case StateLost() | CarrierLost() | ChartChanged():
                self._rebuilds += 1
                self._events.append(SpanEvent(RESUMED, self._at, by))
                self._end_failed(event.event, by)
                self._leave_queue(by)
            case RetryDue():
                self._end_work(by)
            case RunCancelled():
                self._end_work(by)
                self._leave_queue(by)
            case _:
                assert_never(event)

    def _leave_queue(self, by: dict[str, Attribute]) -> None:
        """Of a run that ends there."""
        if self._queued is not None:
            self._close(self._queued, by)
            self._queued = None

    def _enter_step(self, value: Mapping[str, object]) -> None:
        """The step that the run is in now; the one before it is over."""
        status, place = str(value["status"]), None
        if status == RunStatus.RUNNING:
            place = str(value["current_step"]), _number(value["iteration"])
        if place == self._place_of_step:
            return
        if self._step is not None:
            failed = status == RunStatus.FAILED
            self._close(self._step, {}, error=self._failure if failed else None)
        if place is None:
            self._work = None  # nothing is waited for any more
        self._place_of_step, self._step = place, None
        if place is not None:
            step, iteration = place
            self._step = self._opened(f"{step}/{iteration}", f"step {step}")
            self._step.attributes = {names.STEP: step, names.ITERATION: iteration}

    def _end(self, status: str) -> None:
        self._ended = True
        root = self._root
        root.attributes[names.RUN_STATUS] = status
        if self._said is not None and status == RunStatus.FINISHED:
            root.attributes[names.OUTPUT_MESSAGES] = self._said
        failed = self._failure if status == RunStatus.FAILED else None
        self._spans.append(self._span(root, self._attributes_of(root), error=failed))

    # What goes on inside a step

    def _begin_work(self, operation: str, attempt: int) -> None:
        self._failure = None
        self._work = self._in_step(operation, attempt)
        self._work.attributes[names.OPERATION] = operation
        if operation == names.RETRIEVAL and self._content:
            self._work.attributes[names.QUERY] = self._query

    def _begin_wait(self, attempt: int, cause: str) -> None:
        self._work = self._in_step("wait", attempt)
        self._work.attributes[names.WAITS_FOR] = cause

    def _in_step(self, name: str, attempt: int) -> _Open:
        assert self._step is not None  # noqa: S101 - a running run is in a step
        work = self._opened(f"{self._step.place}/{attempt}/{name}", name)
        work.attributes = {**self._step.attributes, names.ATTEMPT: attempt}
        work.parent = self._step
        return work

    def _end_search(self, event: PriorsRetrieved, by: dict[str, Attribute]) -> None:
        found: dict[str, Attribute] = {names.PRIORS: len(event.priors)}
        if self._content:
            documents = [
                {"id": each.message_id, "score": each.score, "content": each.content}
                for each in event.priors
            ]
            found[names.DOCUMENTS] = to_json(documents).decode()
        self._end_work(by | found, None if event.available else MEMORY_UNAVAILABLE)

    def _end_answer(self, event: StepCompleted, by: dict[str, Attribute]) -> None:
        self._model = event.model
        finish = "length" if event.cut else "stop"
        given: dict[str, Attribute] = {
            names.RESPONSE_MODEL: event.model,
            names.FINISH_REASONS: (finish,),
            names.CHARACTERS: len(event.text),
        }
        if event.usage is not None:
            for name, tokens in (
                (names.INPUT_TOKENS, event.usage.prompt_tokens),
                (names.OUTPUT_TOKENS, event.usage.completion_tokens),
            ):
                if tokens is not None:
                    given[name] = tokens
                    self._tokens[name] = self._tokens.get(name, 0) + tokens
        if self._content:
            self._said = given[names.OUTPUT_MESSAGES] = _said("assistant", event.text, finish)
        self._end_work(by | given)

    def _end_failed(self, error: str, by: dict[str, Attribute], partial: str | None = None) -> None:
        failed, self._failure = self._work, error
        if partial:
            by = {**by, names.CHARACTERS: len(partial)}
        self._end_work(by, error)
        if failed is not None:
            self._begin_wait(_number(failed.attributes[names.ATTEMPT]), error)

    def _end_work(self, by: dict[str, Attribute], error: str | None = None) -> None:
        work, self._work = self._work, None
        if work is not None:
            self._close(work, by, error=error)

    # Spans

    def _opened(self, place: str, name: str) -> _Open:
        return _Open(place, span_id_of(self.run_id, place), name, self._at)

    def _close(self, each: _Open, by: Mapping[str, Attribute], *, error: str | None = None) -> None:
        self._spans.append(self._span(each, {**self._attributes_of(each), **by}, error=error))

    def _attributes_of(self, each: _Open) -> dict[str, Attribute]:
        """What a span says of its work, as far as it is known now."""
        known = dict(each.attributes)
        if each is self._root:
            known |= self._tokens
            known[names.REBUILDS] = self._rebuilds
        elif known.get(names.OPERATION) != names.CHAT:
            return known
        else:
            known[names.CONVERSATION] = self._root.attributes[names.CONVERSATION]
            writes = known[names.STEP] in _WRITES_TEXT
            known[names.OUTPUT_TYPE] = names.TEXT if writes else names.JSON
        known[names.PROVIDER] = self._provider
        if self._asked_model is not None:
            known[names.REQUEST_MODEL] = self._asked_model
        return known

    @property
    def _provider(self) -> str:
        return names.CHORUS if self._model == EXTRACTIVE_MODEL else names.OPENAI

    def _span(
        self, each: _Open, attributes: dict[str, Attribute], *, error: str | None = None
    ) -> Span:
        name, kind, parent = each.name, SpanKind.INTERNAL, each.parent or self._root
        if attributes.get(names.OPERATION) == names.CHAT:
            model = self._asked_model or self._model
            name = name if model is None else f"{name} {model}"
            kind = SpanKind.INTERNAL if self._provider == names.CHORUS else SpanKind.CLIENT
        if error is not None:
            attributes[names.ERROR_TYPE] = error
        is_root = each is self._root
        return Span(
            trace_id=self._trace_id,
            span_id=each.id,
            parent_id=None if is_root else parent.id,
            name=name,
            kind=kind,
            start=each.start,
            end=max(self._at, each.start),
            attributes=attributes,
            failed=error is not None,
            events=tuple(self._events) if is_root else (),
            links=tuple(filter(None, (self._approval, self._origin))) if is_root else (),
        )


def run_spans(
    run_id: str, entries: Iterable[JournalEntry], *, content: bool = False
) -> tuple[Span, ...]:
    """The spans of a run, from the entries that are about it, in order; the root is the last.

    A run that is not over has spans that end with its last entry and are marked `chorus.unfinished`.

    Args:
        content: Whether they hold the prompt, what was searched for and found, and what the model wrote.

    Raises:
        ValueError: `run_id` is no UUID.
    """
    trace = RunTrace(run_id, content=content)
    for entry in entries:
        trace.take(entry)
    return trace.spans()


def ends(run_id: str, entry: JournalEntry) -> bool:
    """Whether a run is over with this entry."""
    return any(
        change.kind == "run" and change.id == run_id and str(change.value["status"]) in _FINAL
        for change in entry.changes
        if not isinstance(change, Deleted)
    )


def _origin_of(value: Mapping[str, object]) -> SpanLink | None:
    """The run that a forked one left; an entry that was read holds it as JSON."""
    match value.get("prefix"):
        case None:
            return None
        case Prefix(origin=origin):
            run_id = origin.run_id
        case prefix:
            run_id = Prefix.model_validate(prefix).origin.run_id
    return link_to(run_id, RUN_ROOT)


def _number(value: object) -> int:
    assert isinstance(value, int)  # noqa: S101 - the journal keeps it as one
    return value


def _said(role: str, text: str, finish_reason: str | None = None) -> str:
    """One message, as the conventions write messages into an attribute."""
    message: dict[str, object] = {"role": role, "parts": [{"type": "text", "content": text}]}
    if finish_reason is not None:
        message["finish_reason"] = finish_reason
    return to_json([message]).decode()
