"""The breaker of a model endpoint: its rules under whatever may happen, and its shell.

The rules are checked against walks through the chart; the shell against a model that does what a
test tells it, in a world whose time stands still until a test moves it.
"""

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines.breaker import breaker_machine
from machines.models.breaker import Admitted, BreakerPolicy, BreakerStatus, Delayed
from machines.models.chorus import StepCompleted
from machines.models.domain import Valid
from machines.models.effects import AICall, attempt_of
from machines.models.errors import AIError, ErrorCode, NetworkError
from machines.models.ids import MessageId, RunId, ThreadId
from machines.models.outputs import ActionOutput, StepEnum
from machines.statechart import Accepted, Refusal
from server.environment import Environment, system_environment
from server.llm.breaker import CircuitBreakerModel
from server.llm.port import AnswerDelayed, AnswerFailed, OnText, unheard
from tests.machines.transitions import breaker_scenarios as breaker
from tests.machines.transitions.spaces import breaker_events
from tests.machines.transitions.walks import Walk, walks

# --- The chart -----------------------------------------------------------------------------------

breaker_walks = walks(breaker_machine(), breaker.closed(), breaker_events, length=60)


@given(breaker_walks)
def test_a_breaker_is_valid_whatever_happens(walk: Walk) -> None:
    for each in walk.fired:
        assert each.after.validate_state() == Valid()


@given(breaker_walks)
def test_an_attempt_is_told_one_thing_and_who_has_waited_goes_out(walk: Walk) -> None:
    for each in walk.accepted:
        assert isinstance(each.outcome, Accepted)
        verdicts = each.outcome.responses
        assert len(verdicts) == int(each.event.event == "attempt")
        if verdicts and each.event.has_waited:
            assert isinstance(verdicts[0], Admitted)


@given(breaker_walks)
def test_only_failures_open_a_closed_breaker_and_an_answer_closes_it(walk: Walk) -> None:
    for each in walk.accepted:
        if each.before.status is BreakerStatus.CLOSED and each.after.status is BreakerStatus.OPEN:
            assert each.event.event == "failed"
            assert each.before.failures == breaker.POLICY.threshold - 1
        if each.event.event == "answered":
            assert each.after.status is BreakerStatus.CLOSED
            assert each.after.failures == 0


@given(
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 60),
    st.integers(0, 12),
    st.sampled_from([BreakerStatus.OPEN, BreakerStatus.HALF_OPEN]),
)
def test_no_attempt_is_delayed_beyond_the_longest_delay_or_to_before_the_probe(
    jitter: float, later: float, failed_probes: int, status: BreakerStatus
) -> None:
    state = breaker.opened()
    for number in range(failed_probes):
        at = state.probe_at
        assert at is not None
        probing = breaker.after(state, breaker.asked(at, attempt=f"{number}"))
        state = breaker.after(probing, breaker.failed(f"{number}", at))
    assert state.probe_at is not None
    opened_at = state.probe_at - state.wait_seconds
    at = min(opened_at + later, state.probe_at - 0.001)
    if status is BreakerStatus.HALF_OPEN:
        state = breaker.after(state, breaker.asked(state.probe_at))
    outcome = breaker_machine().fire(state, breaker.asked(at, attempt="another", jitter=jitter))
    assert isinstance(outcome, Accepted)
    (verdict,) = outcome.responses
    assert isinstance(verdict, Delayed)
    assert verdict.wait_ms <= 1000 * breaker.POLICY.longest_delay_seconds
    if state.probe_at is not None:
        assert at + verdict.wait_ms / 1000 >= state.probe_at - 0.002


def test_the_wait_before_a_probe_doubles_up_to_its_bound_and_an_answer_makes_it_short_again() -> (
    None
):
    state, waits = breaker.opened(), []
    for _ in range(7):
        waits.append(state.wait_seconds)
        assert state.probe_at is not None
        probing = breaker.after(state, breaker.asked(state.probe_at))
        state = breaker.after(probing, breaker.failed(at=state.probe_at))
    assert waits == [1, 2, 4, 8, 16, 24, 24]
    healed = breaker.after(state, breaker.answered())
    assert healed == breaker.closed()


def test_a_late_failure_of_an_attempt_that_began_before_is_no_failed_probe() -> None:
    outcome = breaker_machine().fire(breaker.half_open(), breaker.failed(breaker.OTHER))
    assert isinstance(outcome, Refusal)


# --- The shell -----------------------------------------------------------------------------------

POLICY = BreakerPolicy(threshold=2)


@dataclass
class Told:
    """A model that ends each attempt as `end` says."""

    end: AIError | NetworkError | None = None
    words: str = ""
    hold: asyncio.Event | None = None
    asked: int = 0
    closed: bool = False
    holding: asyncio.Event = field(default_factory=asyncio.Event)
    name: str = "told"
    offline: bool = False

    async def answer(
        self, call: AICall, on_text: OnText, on_thought: OnText = unheard
    ) -> StepCompleted:
        self.asked += 1
        if self.words:
            on_text(self.words)
        if self.hold is not None:
            self.holding.set()
            await self.hold.wait()
        if self.end is not None:
            raise AnswerFailed(self.end, self.words)
        return StepCompleted(
            **attempt_of(call, system_environment().now()),
            text=self.words,
            output=ActionOutput(),
            usage=None,
            model=self.name,
        )

    async def close(self) -> None:
        self.closed = True


@dataclass
class Hand:
    """The hand that moves the clock."""

    seconds: float = 0.0
    dice: float = 0.0
    environment: Environment = field(init=False)

    def __post_init__(self) -> None:
        real = system_environment()
        self.environment = Environment(
            now=real.now,
            monotonic=lambda: self.seconds,
            new_id=real.new_id,
            random=lambda: self.dice,
            secret=real.secret,
        )


def call(attempt: int = 1, *, may_be_delayed: bool = True, run: str = "run") -> AICall:
    return AICall(
        run_id=RunId(run),
        thread_id=ThreadId("thread"),
        message_id=MessageId("prompt"),
        step=StepEnum.ACTION,
        iteration=1,
        attempt=attempt,
        messages=(),
        answer_tokens=1_000,
        may_be_delayed=may_be_delayed,
    )


def dead() -> NetworkError:
    return NetworkError("The endpoint is away.")


def status(spared: CircuitBreakerModel) -> BreakerStatus:
    return spared.status


async def opened(model: Told, hand: Hand) -> CircuitBreakerModel:
    """A model whose breaker has just opened."""
    spared = CircuitBreakerModel(model, POLICY, hand.environment)
    model.end = dead()
    for number in range(POLICY.threshold):
        with pytest.raises(AnswerFailed):
            await spared.answer(call(number), lambda _: None)
    assert status(spared) is BreakerStatus.OPEN
    return spared


async def test_an_open_breaker_delays_without_asking_and_the_probe_closes_it() -> None:
    model, hand = Told(), Hand()
    spared = await opened(model, hand)
    with pytest.raises(AnswerDelayed) as delayed:
        await spared.answer(call(3), lambda _: None)
    assert delayed.value.wait_ms == 1_000
    assert delayed.value.error.code is ErrorCode.AI_UNAVAILABLE
    assert model.asked == 2
    hand.seconds, model.end, model.words = 1.0, None, "Here I am."
    answer = await spared.answer(call(4, may_be_delayed=False), lambda _: None)
    assert answer.text == "Here I am."
    assert status(spared) is BreakerStatus.CLOSED


async def test_a_call_that_may_not_be_delayed_is_made_whatever_the_breaker_says() -> None:
    model, hand = Told(), Hand()
    spared = await opened(model, hand)
    for number in range(3, 6):
        with pytest.raises(AnswerFailed):
            await spared.answer(call(number, may_be_delayed=False), lambda _: None)
    assert model.asked == 5


async def test_an_endpoint_that_says_no_is_not_dead() -> None:
    model, hand = Told(end=AIError("No.", code=ErrorCode.AI_REJECTED, retryable=False)), Hand()
    spared = CircuitBreakerModel(model, POLICY, hand.environment)
    for number in range(2 * POLICY.threshold):
        with pytest.raises(AnswerFailed):
            await spared.answer(call(number), lambda _: None)
    assert status(spared) is BreakerStatus.CLOSED


async def test_the_first_word_of_a_probe_closes_the_breaker() -> None:
    model, hand = Told(), Hand()
    spared = await opened(model, hand)
    hand.seconds = 1.0
    model.end, model.words, model.hold = None, "So", asyncio.Event()
    probe = asyncio.create_task(spared.answer(call(3), lambda _: None))
    await model.holding.wait()
    assert status(spared) is BreakerStatus.CLOSED
    model.hold.set()
    assert (await probe).text == "So"


async def test_a_probe_that_is_cancelled_leaves_its_place_to_the_next_attempt() -> None:
    model, hand = Told(), Hand()
    spared = await opened(model, hand)
    hand.seconds, model.hold = 1.0, asyncio.Event()
    probe = asyncio.create_task(spared.answer(call(3), lambda _: None))
    await model.holding.wait()
    assert status(spared) is BreakerStatus.HALF_OPEN
    with pytest.raises(AnswerDelayed):
        await spared.answer(call(1, run="another"), lambda _: None)
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    model.hold, model.end = None, None
    await spared.answer(call(2, run="another"), lambda _: None)
    assert status(spared) is BreakerStatus.CLOSED


async def test_attempts_that_wait_are_spread_over_the_room_that_is_left() -> None:
    model, hand = Told(), Hand()
    spared = await opened(model, hand)
    waits = []
    for dice in (0.0, 0.5, 0.99):
        hand.dice = dice
        with pytest.raises(AnswerDelayed) as delayed:
            await spared.answer(call(3), lambda _: None)
        waits.append(delayed.value.wait_ms)
    assert waits == sorted(set(waits)), f"all of them come at once: {waits}"


async def test_a_closed_model_is_asked_nothing_more() -> None:
    model, hand = Told(), Hand()
    spared = CircuitBreakerModel(model, POLICY, hand.environment)
    await spared.close()
    assert model.closed
    with pytest.raises(AnswerFailed):
        await spared.answer(call(), lambda _: None)
    assert model.asked == 0
