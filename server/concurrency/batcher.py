"""Answering at once what many ask at the same moment, one by one.

A read or a commit costs its way to another thread and back, whatever it is about. While one is under
way, those who come wait together; the next one is for all of them. Who comes alone is served at once;
where many keep coming, a pause lets groups gather that are worth their way. What is done for a group
is its owner's to say.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from typing import Final, Generic, TypeVar

from machines.models.errors import StorageError

MAX_GROUP: Final = 256
"""Keys in one group; bounds how long the first of them waits for the last."""

K = TypeVar("K")
V = TypeVar("V")


class Batcher(Generic[K, V]):
    """Answers keys in groups, one group after the other.

    Args:
        answer: gives for each key of a group its value, in the same order. A fault that lasts may
            be in one of them alone: then each is answered, or fails, by itself.
        pause: seconds between the beginnings of two groups, at least.
    """

    def __init__(
        self, answer: Callable[[Sequence[K]], Awaitable[Sequence[V]]], *, pause: float = 0.0
    ) -> None:
        self._answer = answer
        self._pause = pause
        self._next_at = 0.0
        """When the next group may begin, by the loop's clock."""
        self._waiting: list[tuple[K, asyncio.Future[V]]] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, key: K) -> V:
        """The value of a key. Who stops waiting does not stop the others, nor what is under way."""
        future: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, future))
        if self._task is None:
            self._task = asyncio.create_task(self._serve())
        return await future

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                # Without a pause still one tick, for those whose frames came in with the first.
                await asyncio.sleep(max(0.0, self._next_at - loop.time()))
                self._next_at = loop.time() + self._pause
                # Who stopped waiting is gone, and may be back under the same key already.
                group = [each for each in self._waiting[:MAX_GROUP] if not each[1].done()]
                del self._waiting[:MAX_GROUP]
                if group:
                    await self._serve_group(group)
        finally:
            self._task = None

    async def _serve_group(self, group: Sequence[tuple[K, asyncio.Future[V]]]) -> None:
        try:
            values = await self._answer([key for key, _ in group])
        except Exception as error:  # noqa: BLE001 - it is raised again, in each caller
            if len(group) > 1 and isinstance(error, StorageError) and not error.retryable:
                for one in group:
                    await self._serve_group((one,))
                return
            for _, future in group:
                if not future.done():
                    # One object each where it is expected: they travel up through different callers.
                    future.set_exception(copy(error) if isinstance(error, StorageError) else error)
            return
        except BaseException:
            for _, future in group:
                future.cancel()
            raise
        for (_, future), value in zip(group, values, strict=True):
            if not future.done():  # its caller was cancelled
                future.set_result(value)
