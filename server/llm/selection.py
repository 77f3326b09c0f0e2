"""Several models of one endpoint as one `LanguageModel`: each call is answered by the model that it names.

What an endpoint was found to serve is known of each model by itself, and each has a circuit breaker of
its own: a model that its endpoint cannot load holds back no run of another.
"""

from collections.abc import Sequence
from typing import Final

from machines.models.breaker import BreakerStatus
from machines.models.chorus import StepCompleted
from machines.models.effects import AICall
from server.llm.breaker import CircuitBreakerModel
from server.llm.port import OnText, unheard

_WORST_FIRST: Final = (BreakerStatus.OPEN, BreakerStatus.HALF_OPEN)


class ModelSelection:
    """One or more models, the server's own first; a `LanguageModel`."""

    offline = False

    def __init__(self, models: Sequence[CircuitBreakerModel]) -> None:
        """`models` have different names; they are closed with this."""
        self._own = models[0]
        self._models = {each.name: each for each in models}

    @property
    def name(self) -> str:
        """Of the server's own model."""
        return self._own.name

    @property
    def status(self) -> BreakerStatus:
        """Of the breaker that admits least, for operators."""
        found = {each.status for each in self._models.values()}
        return next((each for each in _WORST_FIRST if each in found), BreakerStatus.CLOSED)

    async def answer(
        self, call: AICall, on_text: OnText, on_thought: OnText = unheard
    ) -> StepCompleted:
        """See `LanguageModel.answer`. A model that is not among these (any more) is the server's own."""
        chosen = self._models.get(call.model, self._own) if call.model is not None else self._own
        return await chosen.answer(call, on_text, on_thought)

    async def close(self) -> None:
        """See `LanguageModel.close`."""
        for each in self._models.values():
            await each.close()
