"""The model behind its breaker: a `LanguageModel` that spares an endpoint which keeps failing.

The shell of `machines.breaker`: it asks the chart before each attempt, and reports how the attempt
ended. Whether to admit, delay or probe is decided there. One of these stands before each endpoint;
the offline responder has none.
"""

import logging
from collections.abc import Callable
from typing import assert_never

from machines.breaker import breaker_machine
from machines.models import breaker
from machines.models.effects import AICall
from machines.models.errors import AIError, ErrorCode, NetworkError
from machines.statechart import Accepted, Refusal
from server.environment import World
from server.llm.port import AttemptDelayed, AttemptFailed, LanguageModel, ModelAnswer, OnText

log = logging.getLogger(__name__)

OPEN = breaker.BreakerStatus.OPEN


class SparedModel:
    """A model whose endpoint is spared while it keeps failing; a `LanguageModel`."""

    def __init__(self, model: LanguageModel, policy: breaker.BreakerPolicy, world: World) -> None:
        """`model` is closed with this one; of `world` the monotonic clock and randomness serve."""
        self._model = model
        self._world = world
        self._state = breaker.BreakerState(endpoint=model.name, policy=policy)

    @property
    def name(self) -> str:
        """See `LanguageModel.name`."""
        return self._model.name

    @property
    def offline(self) -> bool:
        """See `LanguageModel.offline`."""
        return self._model.offline

    @property
    def status(self) -> breaker.BreakerStatus:
        """Where the breaker stands, for operators."""
        return self._state.status

    async def answer(self, call: AICall, on_text: OnText) -> ModelAnswer:
        """See `LanguageModel.answer`; also raises AttemptDelayed, where the call may be delayed."""
        attempt = f"{call.run_id} {call.step} {call.iteration} {call.attempt}"
        is_probe = self._admit(call, attempt)
        ended = False

        def report(kind: Callable[..., breaker.BreakerEvent]) -> None:
            nonlocal ended
            if not ended:
                ended = True
                self._fire(kind(attempt=attempt, at=self._world.monotonic()))

        def hear(text: str) -> None:
            # The first word shows that the endpoint is back; an answer may take minutes.
            report(breaker.AttemptAnswered)
            on_text(text)

        try:
            answer = await self._model.answer(call, hear if is_probe else on_text)
        except AttemptFailed as failed:
            dead = _shows_a_dead_endpoint(failed.error)
            report(breaker.AttemptFailed if dead else breaker.AttemptAnswered)
            raise
        else:
            report(breaker.AttemptAnswered)
            return answer
        finally:
            report(breaker.AttemptAbandoned)

    async def close(self) -> None:
        """See `LanguageModel.close`."""
        self._fire(breaker.EndpointDropped())
        await self._model.close()

    def _admit(self, call: AICall, attempt: str) -> bool:
        """Whether the attempt probes the endpoint. Raises AttemptDelayed, AttemptFailed."""
        event = breaker.AttemptAsked(
            attempt=attempt,
            at=self._world.monotonic(),
            has_waited=not call.may_be_delayed,
            jitter=self._world.random(),
        )
        match self._fire(event):
            case (breaker.Admitted(is_probe=is_probe),):
                return is_probe
            case (breaker.Delayed(wait_ms=wait),):
                error = NetworkError(
                    "The model endpoint keeps failing, so it is spared for a moment.",
                    retry_after_ms=wait,
                )
                raise AttemptDelayed(error, wait)
            case _:
                raise AttemptFailed(NetworkError("The server asks this model no more."))

    def _fire(self, event: breaker.BreakerEvent) -> tuple[breaker.BreakerResponse, ...]:
        """What the chart answers; nothing where it refuses, as it does with late reports."""
        before = self._state.status
        match breaker_machine().fire(self._state, event):
            case Refusal():
                return ()
            case Accepted(state=state, responses=responses):
                self._state = state
                if state.status is not before:
                    worth = logging.WARNING if state.status is OPEN else logging.INFO
                    log.log(worth, "the breaker of %s: %s -> %s", self.name, before, state.status)
                return responses
            case outcome:
                assert_never(outcome)


def _shows_a_dead_endpoint(error: AIError | NetworkError) -> bool:
    """Whether nobody is served there now; an answer that is no use shows the contrary."""
    return error.code is ErrorCode.AI_UNAVAILABLE
