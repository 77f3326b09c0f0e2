"""Context: what a request quotes, each part within its own share of the tokens.

Thread and request, priors, focus and the records of completed steps, as pure functions of the run's
state. Everything that a person or a model wrote stands under a tag of `machines.prompting.quoting`; what is
said around it is the matter of `machines.prompting.request`.

A run quotes the same texts in every step, and only ever more of them: priors and records are added
behind those that are there. So each part is made once and kept for the steps that follow, with
`SLOT` for the nonce where every request has another. A part is found again by the values that it
was made of, all of them, so that no run is ever given what is another's; and of each kind only the
latest are kept (`OPENINGS_KEPT`, `ACCOUNTS_KEPT`). What is kept no more is made again, to the same
text.
"""

from collections.abc import Container, Iterable, Mapping, Sized
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import Final, NamedTuple, assert_never

from machines.models.chorus import ChorusState, ContextMessage, StepCompleted
from machines.models.domain import Role
from machines.models.effects import SuppliedPrior
from machines.models.ids import MessageId, PublicKey, RunId
from machines.models.limits import MAX_QUERY_LENGTH
from machines.models.outputs import Prior, StepEnum
from machines.prompting.quoting import (
    SLOT,
    UNITS_PER_TOKEN,
    clipped,
    fair_limit,
    fitted,
    fitting_length,
    harmless,
    harmless_once,
    quoted,
    units,
)

PRIORS_SENT: Final = 12
"""Priors in one request, at most; more of them cost more than they add."""

FRESH_PRIORS: Final = 4
"""Places of `PRIORS_SENT` that the newest search has for itself, however many were selected."""

_ANSWER_TOKENS: Final = 4_000
"""The context that is left for an answer, at most; of a small context a sixth."""

_OWN_TOKENS: Final = 1_000
"""What the system text and the longest instruction take."""

_THREAD_PER_CENT: Final = 18
_REQUEST_PER_CENT: Final = 36
_PRIORS_PER_CENT: Final = 20
_RECORDS_PER_CENT: Final = 25
"""Shares of what is left for material. With the usual context the longest prompt of Latin letters is
sent whole."""

OPENINGS_KEPT: Final = 128
"""Runs whose openings are kept: some 4 MB of usual ones. At the very worst, where each has a prompt
and 16 messages of the greatest length, they keep 80 million characters alive."""

ACCOUNTS_KEPT: Final = 2 * OPENINGS_KEPT
"""Steps whose priors and records are kept: a run needs that of its newest step, to make the next one
of it. Some 2 MB of usual ones. The shares bound what each holds of its own, 20 million characters
for all of them; and each keeps its run's records and priors alive, some 50 million more at the very
worst."""

_LEAST_WORTH_QUOTING: Final = 60 * UNITS_PER_TOKEN
"""Units: a message of the thread that would be clipped to less is left out."""

_TAGS: Final = units("x" * 120)
"""Units, at most, that the two tags of a quotation take."""


_LEAST_PRIOR: Final = _TAGS + _LEAST_WORTH_QUOTING


# --- Shares ------------------------------------------------------------------------------------


class Shares(NamedTuple):
    """How a context is divided, in units of `machines.prompting.quoting`."""

    thread: int
    request: int
    priors: int
    records: int

    @property
    def priors_sent(self) -> int:
        """How many priors a request shows, so that each keeps enough to be worth it."""
        return min(PRIORS_SENT, max(self.priors // _LEAST_PRIOR, 1))

    @property
    def fresh_priors(self) -> int:
        """Places among them that the newest search has for itself, however many were selected."""
        return max(self.priors_sent * FRESH_PRIORS // PRIORS_SENT, 1)


def answer_room(context_tokens: int) -> int:
    """Tokens of a context that are left for the answer."""
    return min(context_tokens // 6, _ANSWER_TOKENS)


@lru_cache(maxsize=16)
def shares_of(context_tokens: int) -> Shares:
    """What each part of a request may take.

    Each has its own, so that a part which grows never moves what stands before it.
    """
    left = context_tokens - answer_room(context_tokens) - _OWN_TOKENS
    units_of_one = max(left, context_tokens // 4) * UNITS_PER_TOKEN // 100
    return Shares(
        thread=_THREAD_PER_CENT * units_of_one,
        request=_REQUEST_PER_CENT * units_of_one,
        priors=_PRIORS_PER_CENT * units_of_one,
        records=_RECORDS_PER_CENT * units_of_one,
    )


# --- Thread and request: the same for a run ----------------------------------------------------


class _Opening(NamedTuple):
    """What an opening is made of."""

    nonce: str
    messages: tuple[ContextMessage, ...]
    prompt: str
    context_tokens: int

    def __hash__(self) -> int:
        """Of what tells runs apart; equality looks at all."""
        return hash(self.nonce)


def opening(state: ChorusState, nonce: str) -> str:
    """How every request of the run begins: the recent messages, and the request."""
    return _written_opening(_Opening(nonce, state.messages, state.prompt, state.context_tokens))


@lru_cache(maxsize=OPENINGS_KEPT)
def _written_opening(of: _Opening) -> str:
    shares = shares_of(of.context_tokens)
    request = quoted("request", of.nonce, fitted(harmless(of.prompt), shares.request))
    return "\n\n".join([*_thread(of.messages, of.nonce, shares.thread), request])


def _thread(messages: tuple[ContextMessage, ...], nonce: str, room: int) -> list[str]:
    """The recent messages, oldest first; where they are too long, the oldest give way."""
    parts: list[str] = []
    for message, speaker in zip(reversed(messages), reversed(_speakers(messages)), strict=True):
        room -= _TAGS
        body = harmless(message.content)
        if units(body) > room:
            if room < _LEAST_WORTH_QUOTING:
                break
            body = fitted(body, room)
        room -= units(body)
        parts.append(quoted("thread", nonce, body, f'by="{speaker}"'))
    return parts[::-1]


def _speakers(messages: Iterable[ContextMessage]) -> list[str]:
    """A short name for who wrote each message; keys would cost 44 characters and say no more."""
    authors: dict[PublicKey | None, str] = {}
    return [
        "chorus"
        if message.role is Role.CHORUS
        else authors.setdefault(message.author, f"person {len(authors) + 1}")
        for message in messages
    ]


# --- Priors and records: the same but for one record more in each step -------------------------


class QuotedMaterial(NamedTuple):
    """What one request shows of what the run has found and given so far."""

    supplied: tuple[SuppliedPrior, ...]
    """The priors, by label; `PRIORS_SENT` at most."""
    text: str
    """The quotations, with `SLOT` for the nonce; empty where there are none."""


def quoted_material(state: ChorusState) -> QuotedMaterial:
    """The priors that the current step reads, and what the completed steps gave, oldest first."""
    match state.current_step:
        case StepEnum.ACTION:
            return QuotedMaterial((), "")
        case StepEnum.YIELD:
            given = _given(state)
            account = _account(given)
            most = shares_of(state.context_tokens).priors_sent
            priors = _shown(given, account.labels, _selected(state.steps, most))
        case StepEnum.EXPERIENCE | StepEnum.INTENTION | StepEnum.OBSERVATION | StepEnum.UPDATE:
            account = _account(_given(state))
            priors = account.priors
        case step:
            assert_never(step)
    return QuotedMaterial(priors.supplied, _joined(priors.text, account.records))


class _Given(NamedTuple):
    """What an account is made of."""

    run_id: RunId
    iteration: int
    context_tokens: int
    priors: tuple[Prior, ...]
    records: tuple[StepCompleted, ...]

    def __hash__(self) -> int:
        """Of what tells steps of runs apart; equality looks at all."""
        return hash((self.run_id, self.iteration, len(self.records)))


def _given(state: ChorusState) -> _Given:
    return _Given(state.id, state.iteration, state.context_tokens, state.priors, state.steps)


class _Account(NamedTuple):
    """Priors and records as requests quote them."""

    labels: Mapping[MessageId, str]
    """Of all the run's priors, shown or not."""
    priors: QuotedMaterial
    """What every step of the iteration shows but yield; without records."""
    bodies: tuple[str, ...]
    """Of the records, each as far as this request or a later one may show it."""
    records: str
    """The quotations, with `SLOT` for the nonce; the longest clipped where they are too long."""


@lru_cache(maxsize=ACCOUNTS_KEPT)
def _account(given: _Given) -> _Account:
    """Within an iteration, the account of the step before and one record more."""
    if not given.records or given.records[-1].iteration < given.iteration:
        return _account_at_start(given)
    before = _account(given._replace(records=given.records[:-1]))
    record = given.records[-1]
    bodies = (*before.bodies, harmless_once(_as_text(record, before.labels)))
    if sum([units(body) for body in bodies]) <= _room_for(bodies, given.context_tokens):
        records = _joined(before.records, _quoted(record, bodies[-1]))
        return _Account(before.labels, before.priors, bodies, records)
    return _Account(before.labels, before.priors, *_clipped_records(given, bodies))


def _account_at_start(given: _Given) -> _Account:
    labels = {prior.message_id: label_of(place) for place, prior in enumerate(given.priors)}
    past = [record for record in given.records if record.iteration < given.iteration]
    shares = shares_of(given.context_tokens)
    selected = _selected(past, shares.priors_sent - shares.fresh_priors)
    others = [each for each in labels if each not in selected]
    # Of the others the newest: searches add at the end, the best first.
    newest = others[-(PRIORS_SENT - len(selected)) :]
    worth_showing = {*selected, *newest[: shares.priors_sent - len(selected)]}
    bodies = tuple([harmless_once(_as_text(record, labels)) for record in given.records])
    priors = _shown(given, labels, worth_showing)
    return _Account(labels, priors, *_clipped_records(given, bodies))


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
) -> QuotedMaterial:
    """The chosen priors under their labels; where they are too long, the longest give way."""
    sent = [prior for prior in given.priors if prior.message_id in chosen]
    bodies = [harmless(prior.content) for prior in sent]
    room = shares_of(given.context_tokens).priors - _TAGS * len(bodies)
    limit = fair_limit([units(body) for body in bodies], room)
    supplied: list[SuppliedPrior] = []
    parts: list[str] = []
    for prior, body in zip(sent, bodies, strict=True):
        label = labels[prior.message_id]
        author = "a person" if prior.author else "chorus"
        attributes = f'label="{label}" by="{author}" score="{prior.score:.2f}"'
        supplied.append(SuppliedPrior(label=label, prior=prior))
        parts.append(quoted("prior", SLOT, fitted(body, limit), attributes))
    return QuotedMaterial(tuple(supplied), "\n\n".join(parts))


def _room_for(bodies: Sized, context_tokens: int) -> int:
    """Units that the records have between their tags; below 1 where they have none."""
    return shares_of(context_tokens).records - _TAGS * len(bodies)


def _clipped_records(given: _Given, bodies: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """What later requests need of `bodies`, and the quotations of this one.

    With each record there is less room for more of them, so the limit never grows. One character
    above it says that a body is longer.
    """
    room = max(_room_for(bodies, given.context_tokens), 0)
    limit = fair_limit([units(body) for body in bodies], room)
    quotations = [
        _quoted(record, fitted(body, limit))
        for record, body in zip(given.records, bodies, strict=True)
        if limit
    ]
    kept = [body[: fitting_length(body, limit) + 1] for body in bodies]
    return tuple(kept), "\n\n".join(quotations)


def _quoted(record: StepCompleted, body: str) -> str:
    attributes = f'step="{record.step}" iteration="{record.iteration}"'
    return quoted("record", SLOT, body, attributes)


def _joined(earlier: str, later: str) -> str:
    return f"{earlier}\n\n{later}" if earlier and later else earlier or later


def _as_text(record: StepCompleted, labels: Mapping[MessageId, str]) -> str:
    """A record as the model reads it, priors named by their labels."""
    output = record.output
    lines = [record.text]
    match output.step:
        case "action" | "yield":
            pass
        case "experience":
            lines += [f"Insight: {each}" for each in output.key_insights]
            lines += [f"Used: {labels[each]}" for each in output.used if each in labels]
        case "intention":
            lines += [
                f"Beneath that: {output.implicit_intent}",
                f"Confidence: {output.confidence:.2f}",
            ]
            lines += [
                f"Selected: {labels[chosen.message_id]}, because {chosen.why}"
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
    query = clipped(harmless(state.query), MAX_QUERY_LENGTH)
    # No records stand beside it, so it may take their share.
    return quoted("focus", nonce, fitted(query, shares_of(state.context_tokens).records))
