"""What a request quotes, and how much of it: each part has its own share of the run's context.

Thread and request, priors, focus and the records of completed steps, as pure functions of the run's
state. Everything that a person or a model wrote stands in a section of `machines.prompting.quoting`; what
is said around it is the matter of `machines.prompting.request`.

A run quotes the same texts in every step, and only ever more of them: priors and records are added
behind those that are there. So each part is made once and kept for the steps that follow. A part is
found again by the values that it was made of, all of them, so that no run is ever given what is
another's; and of each kind only the latest are kept (`OPENINGS_KEPT`, `ACCOUNTS_KEPT`). What is kept no
more is made again, to the same text.
"""

from collections.abc import Container, Iterable, Mapping, Sized
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import Final, NamedTuple, assert_never

from machines.models.chorus import ChorusState, ContextMessage, LoopMode, StepCompleted
from machines.models.domain import Role
from machines.models.effects import SuppliedPrior
from machines.models.ids import MessageId, PublicKey, RunId
from machines.models.limits import MAX_QUERY_LENGTH
from machines.models.message import EXTRACTIVE_NOTICE
from machines.models.outputs import Prior, StepEnum
from machines.prompting.quoting import (
    clipped,
    fair_limit,
    fitted,
    fitting_length,
    harmless,
    harmless_once,
    quoted,
    section,
    uncited,
    units,
)
from machines.prompting.shares import (
    LEAST_WORTH_QUOTING,
    MARK_UNITS,
    PRIORS_SENT,
    Shares,
    shares_of,
)

OPENINGS_KEPT: Final = 128
"""Runs whose openings are kept: some 4 MB of usual ones. At the very worst, where each has a prompt
and 16 messages of the greatest length, they keep 80 million characters alive."""

ACCOUNTS_KEPT: Final = 2 * OPENINGS_KEPT
"""Steps whose priors and records are kept: a run needs that of its newest step, to make the next one
of it. Some 2 MB of usual ones. The shares bound what each holds of its own, 20 million characters
for all of them; and each keeps its run's records and priors alive, some 50 million more at the very
worst."""

_WEEKDAYS: Final = (
    *("Monday", "Tuesday", "Wednesday", "Thursday"),
    *("Friday", "Saturday", "Sunday"),
)


# --- Thread and request: the same for a run ----------------------------------------------------


class _Opening(NamedTuple):
    """What an opening is made of."""

    nonce: str
    messages: tuple[ContextMessage, ...]
    requested_by: PublicKey
    prompt: str
    today: datetime
    shares: Shares

    def __hash__(self) -> int:
        """Of what tells runs apart; equality looks at all."""
        return hash(self.nonce)


def opening(state: ChorusState, nonce: str) -> str:
    """How every request of the run begins: the recent messages, and the request with its day."""
    return _written_opening(
        _Opening(
            nonce,
            state.messages,
            state.requested_by,
            state.prompt,
            state.created_at,
            shares_of(state.context_tokens, state.instructions),
        )
    )


@lru_cache(maxsize=OPENINGS_KEPT)
def _written_opening(of: _Opening) -> str:
    shares = of.shares
    names = _names(_speakers(of.messages, of.requested_by))
    today = f"{_WEEKDAYS[of.today.astimezone(UTC).weekday()]} {_day(of.today)}"
    body = fitted(uncited(harmless(of.prompt), is_answer=False), shares.request)
    request = quoted(f"{names[of.requested_by]}, today, {today}", body)
    return section("thread", of.nonce, _thread(of.messages, names, shares.thread)) + section(
        "request", of.nonce, request
    )


def _thread(
    messages: tuple[ContextMessage, ...], names: Mapping[PublicKey | None, str], room: int
) -> str:
    """The recent messages, oldest first; where they are too long, the oldest give way."""
    items: list[str] = []
    day_before = ""
    for message, body in _fitted(messages, room):
        name = names[None if message.role is Role.CHORUS else message.author]
        day = _day(message.created_at) if message.created_at else ""
        # A day is said where it changes, as in a chat.
        items.append(quoted(f"{name}, {day}" if day not in ("", day_before) else name, body))
        day_before = day
    return "".join(items)


def quoted_whole(state: ChorusState) -> tuple[MessageId, ...]:
    """The recent messages that stand in every request of the run, none of them cut, oldest first."""
    shares = shares_of(state.context_tokens, state.instructions)
    return tuple(
        message.message_id
        for message, body in _fitted(state.messages, shares.thread)
        if body == _text_of(message)
    )


def _fitted(messages: tuple[ContextMessage, ...], room: int) -> list[tuple[ContextMessage, str]]:
    """The newest messages that there is room for, oldest first, and what is quoted of each."""
    shown: list[tuple[ContextMessage, str]] = []
    for message in reversed(messages):
        room -= MARK_UNITS
        body = _text_of(message)
        if units(body) > room:
            if room < LEAST_WORTH_QUOTING:
                break
            body = fitted(body, room)
        room -= units(body)
        shown.append((message, body))
    return shown[::-1]


def _text_of(message: ContextMessage) -> str:
    return uncited(harmless(message.content), is_answer=message.role is Role.CHORUS)


def _speakers(messages: Iterable[ContextMessage], requested_by: PublicKey) -> tuple[PublicKey, ...]:
    """Who wrote the thread and the request, each once, in the order of their first words there."""
    authors = [each.author for each in messages if each.role is Role.USER and each.author]
    return tuple(dict.fromkeys([*authors, requested_by]))


def _names(people: Iterable[PublicKey]) -> dict[PublicKey | None, str]:
    """A short name for each; keys would cost 44 characters and say no more."""
    names: dict[PublicKey | None, str] = {None: "chorus"}
    return names | {each: f"person {number}" for number, each in enumerate(people, 1)}


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()


# --- Priors and records: the same but for one record more in each step -------------------------


class QuotedPriors(NamedTuple):
    """The priors that one request shows."""

    supplied: tuple[SuppliedPrior, ...]
    """By label; `PRIORS_SENT` at most."""
    items: str
    """The quotations; empty where there are none."""


class Material(NamedTuple):
    """What one request shows of what the run has found and given so far."""

    supplied: tuple[SuppliedPrior, ...]
    """The priors, by label."""
    text: str
    """The sections; empty where there is nothing."""


def material(state: ChorusState, nonce: str) -> Material:
    """The priors that the current step reads, and what the completed steps gave, oldest first.

    Every step of an iteration but action shows the same priors, yield too, so that each request begins
    as the one before. Which of them an answer may cite is told by `citable`.
    """
    if state.current_step is StepEnum.ACTION:
        return Material((), "")
    account = _account(
        _Given(
            state.id,
            state.iteration,
            shares_of(state.context_tokens, state.instructions),
            _speakers(state.messages, state.requested_by),
            state.priors,
            state.steps,
        )
    )
    text = section("priors", nonce, account.priors.items) + section(
        "records", nonce, account.records
    )
    return Material(account.priors.supplied, text)


def citable(state: ChorusState, supplied: Iterable[SuppliedPrior]) -> tuple[SuppliedPrior, ...]:
    """Those of `supplied` that an answer may rest on.

    They are the priors that intention selected, in any iteration; where it selected none, those that
    experience used; and all of them in a short loop, which asks neither.
    """
    if state.loop is LoopMode.SHORT:
        return tuple(supplied)
    chosen = set(_selected(state.steps, len(state.priors)))
    if not chosen:
        for record in state.steps:
            if record.output.step == "experience":
                chosen.update(record.output.used)
    return tuple(each for each in supplied if each.prior.message_id in chosen)


class _Given(NamedTuple):
    """What an account is made of."""

    run_id: RunId
    iteration: int
    shares: Shares
    speakers: tuple[PublicKey, ...]
    priors: tuple[Prior, ...]
    records: tuple[StepCompleted, ...]

    def __hash__(self) -> int:
        """Of what tells steps of runs apart; equality looks at all."""
        return hash((self.run_id, self.iteration, len(self.records)))


class _Account(NamedTuple):
    """Priors and records as requests quote them."""

    labels: Mapping[MessageId, str]
    """Of all the run's priors, shown or not."""
    priors: QuotedPriors
    """What every step of the iteration shows."""
    bodies: tuple[str, ...]
    """Of the records, each as far as this request or a later one may show it."""
    records: str
    """The quotations; the longest clipped where they are too long."""


@lru_cache(maxsize=ACCOUNTS_KEPT)
def _account(given: _Given) -> _Account:
    """Within an iteration, the account of the step before and one record more."""
    if not given.records or given.records[-1].iteration < given.iteration:
        return _account_at_start(given)
    before = _account(given._replace(records=given.records[:-1]))
    record = given.records[-1]
    bodies = (*before.bodies, _body_of(record, before.labels))
    if sum([units(body) for body in bodies]) <= _room_for(bodies, given.shares):
        records = before.records + _quoted(record, bodies[-1])
        return _Account(before.labels, before.priors, bodies, records)
    return _Account(before.labels, before.priors, *_clipped_records(given, bodies))


def _account_at_start(given: _Given) -> _Account:
    labels = {prior.message_id: label_of(place) for place, prior in enumerate(given.priors)}
    past = [record for record in given.records if record.iteration < given.iteration]
    shares = given.shares
    selected = _selected(past, shares.priors_sent - shares.fresh_priors)
    others = [
        each.message_id
        for each in given.priors
        if each.message_id not in selected and not _only_repeats(each)
    ]
    # Of the others the newest: searches add at the end, the best first.
    newest = others[-(PRIORS_SENT - len(selected)) :]
    worth_showing = {*selected, *newest[: shares.priors_sent - len(selected)]}
    bodies = tuple([_body_of(record, labels) for record in given.records])
    priors = _shown(given, labels, worth_showing)
    return _Account(labels, priors, *_clipped_records(given, bodies))


def _only_repeats(prior: Prior) -> bool:
    """Whether it is an answer of the offline responder, which said nothing of its own."""
    return prior.author is None and prior.content.startswith(EXTRACTIVE_NOTICE)


def label_of(place: int) -> str:
    """The label of the prior at `place` of `ChorusState.priors`, counted from 0."""
    return f"P{place + 1}"


def _selected(records: Iterable[StepCompleted], most: int) -> tuple[MessageId, ...]:
    """Priors that intention selected, each once, the latest iteration first."""
    intentions = [
        (record.iteration, output.selected_priors)
        for record in records
        if (output := record.output).step == "intention"
    ]
    intentions.sort(key=itemgetter(0), reverse=True)
    chosen = dict.fromkeys([each.message_id for _, selected in intentions for each in selected])
    return tuple(islice(chosen, most))


def _shown(
    given: _Given, labels: Mapping[MessageId, str], chosen: Container[MessageId]
) -> QuotedPriors:
    """The chosen priors under their labels; where they are too long, the longest give way."""
    sent = [prior for prior in given.priors if prior.message_id in chosen]
    bodies = [uncited(harmless(prior.content), is_answer=prior.author is None) for prior in sent]
    room = given.shares.priors - MARK_UNITS * len(bodies)
    limit = fair_limit([units(body) for body in bodies], room)
    authors = [prior.author for prior in given.priors if prior.author]
    names = _names(dict.fromkeys([*given.speakers, *authors]))
    supplied = [SuppliedPrior(labels[prior.message_id], prior) for prior in sent]
    items = [
        quoted(f"{label}, {names[prior.author]}, {_day(prior.created_at)}", fitted(body, limit))
        for (label, prior), body in zip(supplied, bodies, strict=True)
    ]
    return QuotedPriors(tuple(supplied), "".join(items))


def _room_for(bodies: Sized, shares: Shares) -> int:
    """Units that the records have between their marks; below 1 where they have none."""
    return shares.records - MARK_UNITS * len(bodies)


def _clipped_records(given: _Given, bodies: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """What later requests need of `bodies`, and the quotations of this one.

    With each record there is less room for more of them, so the limit never grows. One character
    above it says that a body is longer.
    """
    room = max(_room_for(bodies, given.shares), 0)
    limit = fair_limit([units(body) for body in bodies], room)
    quotations = [
        _quoted(record, fitted(body, limit))
        for record, body in zip(given.records, bodies, strict=True)
        if limit
    ]
    kept = [body[: fitting_length(body, limit) + 1] for body in bodies]
    return tuple(kept), "".join(quotations)


def _quoted(record: StepCompleted, body: str) -> str:
    later = f", pass {record.iteration}" if record.iteration > 1 else ""
    return quoted(f"{record.step}{later}", body)


def _body_of(record: StepCompleted, labels: Mapping[MessageId, str]) -> str:
    body = harmless_once(_as_text(record, labels))
    # Action is given no priors: a label in its text is invented.
    return uncited(body, is_answer=True) if record.step is StepEnum.ACTION else body


def _as_text(record: StepCompleted, labels: Mapping[MessageId, str]) -> str:
    """A record as the model reads it, priors named by their labels."""
    output = record.output
    lines = [record.text]
    match output.step:
        case "action" | "yield":
            pass
        case "experience":
            lines += [f"Insight: {each}" for each in output.key_insights]
            if used := [labels[each] for each in output.used if each in labels]:
                lines.append(f"Used: {', '.join(used)}")
        case "intention":
            lines += [
                f"Beneath that: {output.implicit_intent}",
                f"Confidence: {output.confidence:.2f}",
            ]
            lines += [
                f"Selected {labels[chosen.message_id]}: {chosen.why}"
                for chosen in output.selected_priors
                if chosen.message_id in labels
            ]
        case "observation":
            lines += [f"Pattern: {each}" for each in output.patterns]
            lines += [f"Gap: {each}" for each in output.gaps]
            lines.append(f"Confidence: {output.confidence:.2f}")
        case "update":
            lines += [f"Insight: {each}" for each in output.key_insights]
            if output.next_query:
                lines.append(f"Next search: {output.next_query}")
            lines.append(f"Confidence: {output.confidence:.2f}")
        case step:
            assert_never(step)
    return "\n".join(lines)


# --- Focus -------------------------------------------------------------------------------------


def focus(state: ChorusState, nonce: str) -> str:
    """What a later pass is for, which action reads in place of priors and records; else empty."""
    if state.current_step is not StepEnum.ACTION or state.iteration == 1:
        return ""
    query = clipped(uncited(harmless(state.query), is_answer=True), MAX_QUERY_LENGTH)
    # No records stand beside it, so it may take their share.
    room = shares_of(state.context_tokens, state.instructions).records
    return section("focus", nonce, quoted(f"pass {state.iteration}", fitted(query, room)))
