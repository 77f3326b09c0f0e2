"""The model behind its circuit breaker: a `LanguageModel` that holds attempts back while its endpoint
keeps failing.

What counts as a failure of the endpoint is said here. Whether to admit, delay or probe is decided in
`machines.breaker`, behind `server.concurrency.circuit_breaker`. One of these stands before each
model of an endpoint; the offline responder has none.
"""

from machines.models.breaker import BreakerPolicy, BreakerStatus
from machines.models.chorus import StepCompleted
from machines.models.effects import AICall
from machines.models.errors import AIError, ErrorCode, NetworkError
from server.concurrency.circuit_breaker import CircuitBreaker, NotAdmitted
from server.environment import Environment
from server.llm.port import AnswerDelayed, AnswerFailed, LanguageModel, OnText, unheard


class CircuitBreakerModel:
    """Holds attempts back while the model's endpoint keeps failing; a `LanguageModel`."""

    def __init__(
        self, model: LanguageModel, policy: BreakerPolicy, environment: Environment
    ) -> None:
        """`model` is closed with this one; of `world` the monotonic clock and randomness serve."""
        self._model = model
        self._breaker = CircuitBreaker(
            model.name, policy, clock=environment.monotonic, random=environment.random
        )

    @property
    def name(self) -> str:
        """See `LanguageModel.name`."""
        return self._model.name

    @property
    def offline(self) -> bool:
        """See `LanguageModel.offline`."""
        return self._model.offline

    @property
    def status(self) -> BreakerStatus:
        """Where the breaker stands, for operators."""
        return self._breaker.status

    async def answer(
        self, call: AICall, on_text: OnText, on_thought: OnText = unheard
    ) -> StepCompleted:
        """See `LanguageModel.answer`; also raises AttemptDelayed, where the call may be delayed."""
        try:
            with self._breaker.attempt(has_waited=not call.may_be_delayed) as attempt:

                def heard(by: OnText) -> OnText:
                    def hear(text: str) -> None:
                        # The first word shows that the endpoint is back; an answer may take minutes.
                        attempt.answered()
                        by(text)

                    return hear if attempt.is_probe else by

                try:
                    return await self._model.answer(call, heard(on_text), heard(on_thought))
                except AnswerFailed as failed:
                    if _shows_a_dead_endpoint(failed.error):
                        attempt.failed()
                    else:
                        attempt.answered()
                    raise
        except NotAdmitted as refused:
            if refused.wait_ms is None:
                raise AnswerFailed(NetworkError("The server asks this model no more.")) from refused
            error = NetworkError(
                "The model endpoint keeps failing, so requests to it pause for a moment.",
                retry_after_ms=refused.wait_ms,
            )
            raise AnswerDelayed(error, refused.wait_ms) from refused

    async def close(self) -> None:
        """See `LanguageModel.close`."""
        self._breaker.drop()
        await self._model.close()


def _shows_a_dead_endpoint(error: AIError | NetworkError) -> bool:
    """Whether the endpoint serves no caller now; an answer that is no use shows the contrary."""
    return error.code is ErrorCode.AI_UNAVAILABLE
