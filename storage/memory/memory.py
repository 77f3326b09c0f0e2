"""The shell of the memory: worker threads in front of a store, and bounded recovery.

Nothing is decided here: `storage.memory.operations` verifies, says which effects carry an operation out,
and names the recovery from an error; `storage.memory.retrier` recovers. Nothing of a particular store is
known here either: that is `storage.qdrant.client` and what it builds.

A store blocks for the whole of a call. So it is called in worker threads, as many as it says that it
takes calls at once, and the event loop never waits on it.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, Protocol, TypeVar

from machines.models import errors
from machines.models.ids import PointId
from machines.models.outputs import Prior
from storage.memory.facts import CollectionFacts, PointFacts
from storage.memory.operations import (
    cache_operation,
    execute_operation,
    handle_storage_error,
    operation_performed,
)
from storage.memory.points import Collection
from storage.memory.retrier import Retrier
from storage.memory.values import (
    CollectionState,
    Failure,
    Operation,
    PayloadIndex,
    Result,
    Search,
    StorageEffect,
    StorageErrorState,
    StorageState,
    Success,
)

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a store is, connected and with all its collections."""

    made: frozenset[Collection]
    """Collections that are there empty and, as far as was reported, were not there before."""
    collections: tuple[CollectionState, ...]
    indices: tuple[PayloadIndex, ...]
    points: Mapping[Collection, int]
    """How many points each collection holds."""


class VectorStore(Protocol):
    """A store. Every method blocks, and raises `StorageError` alone."""

    @property
    def calls_at_once(self) -> int:
        """How many calls it takes at once, each in a thread of its own; 1: always the same thread."""

    def prepare(self, *, accept_other: bool) -> Prepared:
        """Connect, make what is missing; tell what was made, and what is there now.

        Raises:
            FingerprintMismatch: another embedder's vectors are there, and not `accept_other`.
        """

    def perform(self, effect: StorageEffect) -> tuple[Prior, ...]:
        """Carry out an effect; what a query found, else nothing."""

    def facts_page(
        self, name: Collection, after: PointId | None
    ) -> tuple[list[PointFacts], PointId | None]:
        """A page of facts from where the last one ended; None at the end."""

    def drop(self, name: Collection) -> None:
        """Remove a collection with all that is in it."""

    def close(self) -> None:
        """Let go of it; `prepare` connects again."""


class Memory:
    """The memory, as its callers see it: `open`, `execute`, `close`.

    To be used on one event loop. `execute` never raises for what the store does; the others raise
    a `StorageError`.
    """

    def __init__(self, store: VectorStore, retrier: Retrier) -> None:
        """Nothing is opened yet."""
        self._store = store
        self._retrier = retrier
        self._workers: ThreadPoolExecutor | None = None
        self._prepared = False
        self._accept_other = False
        self._made_anew: frozenset[Collection] = frozenset()
        self._points: Mapping[Collection, int] = {}
        self._state = StorageState()

    @property
    def state(self) -> StorageState:
        """What is known of the memory now."""
        return self._state

    def lacks(self, *, messages: int, links: int) -> bool:
        """Whether a collection held fewer points than these, when it was last opened.

        An older copy of a folder looks as healthy as any. False while nothing could be opened.
        """
        wanted = {Collection.MESSAGES: messages, Collection.LINKS: links}
        return any(held < wanted[name] for name, held in self._points.items())

    @property
    def made_anew(self) -> bool:
        """Whether `take_made_anew` has something to tell."""
        return bool(self._made_anew)

    def take_made_anew(self) -> frozenset[Collection]:
        """Collections that were not there and are now, empty, since this was last asked.

        The caller that feeds the memory from the journal has to begin again with them.
        """
        made, self._made_anew = self._made_anew, frozenset()
        return made

    async def open(self, *, accept_other_fingerprint: bool = False) -> None:
        """Open the store and make its collections where they are missing.

        Args:
            accept_other_fingerprint: for verify and repair: open although other vectors are there.

        Raises:
            FingerprintMismatch: another embedder made the vectors that are there.
            ConnectionError: the folder is held by another process or cannot be used, or the
                server cannot be reached. Where it is `retryable` one may go on: the memory stays
                open, and each `execute` tries to reach it again.
            StorageError: the folder is damaged.
        """
        self._accept_other = accept_other_fingerprint
        self._workers = ThreadPoolExecutor(
            self._store.calls_at_once, thread_name_prefix="chorus-memory"
        )
        try:
            await self._prepare()
        except errors.StorageError as error:
            if not (isinstance(error, errors.ConnectionError) and error.retryable):
                await self.close()
            raise

    async def close(self) -> None:
        """Close the store; closing twice is no error.

        A store that takes one call at a time is closed once that is done; another ends those that are
        under way.
        """
        workers, self._workers = self._workers, None
        if workers is None:
            return
        self._prepared = False
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(workers, self._store.close)
        workers.shutdown(wait=False)

    async def execute(self, operation: Operation) -> Result:
        """Verify an operation and carry it out, with bounded recovery. Never raises.

        Writes that were given up because the store is away are noted in `state.cache`, and tried
        before the next write.
        """
        if isinstance(operation, Search):
            return await self._retrier.attempt(operation, self._try_once)
        # What waits comes first, so that an update never overtakes its store.
        for waiting in (*self._state.cache.operations, operation):
            result = await self._retrier.attempt(waiting, self._try_once)
            if self._is_away(result):
                self._state = cache_operation(self._state, operation)
                break
            if waiting == operation:
                break
            # Done, or beyond help: the outbox hears of that from its own try.
            self._state = operation_performed(self._state, waiting)
        return result

    async def facts(self, collection: Collection) -> CollectionFacts:
        """Everything in a collection, for a comparison with the journal.

        Raises:
            StorageError: the store cannot be read.
        """
        if not self._prepared:
            await self._prepare()
        points: list[PointFacts] = []
        page, following = await self._run(self._store.facts_page, collection, None)
        points.extend(page)
        while following is not None:
            page, following = await self._run(self._store.facts_page, collection, following)
            points.extend(page)
        state = self._state.collection(collection)
        if state is None:
            raise errors.InconsistencyError("A collection of the vector store is missing.")
        return CollectionFacts(state, tuple(points))

    async def reset(self, collection: Collection) -> None:
        """Make a collection anew, empty, for the embedder in use.

        Raises:
            StorageError: the store cannot be written.
        """
        self._prepared = False
        await self._run(self._store.drop, collection)
        await self._prepare()

    async def _try_once(
        self, operation: Operation, errors_so_far: StorageErrorState | None, *, validate: bool
    ) -> tuple[StorageErrorState | None, Result]:
        # The state of this try: operations that run meanwhile have errors of their own.
        state = self._state.model_copy(update={"error_state": errors_so_far})
        try:
            if validate or not self._prepared:
                await self._prepare()
                state = self._state.model_copy(update={"error_state": errors_so_far})
            state, result = execute_operation(state, operation, self._retrier.policy)
            if isinstance(result, Success):
                found: tuple[Prior, ...] = ()
                for effect in result.effects:
                    found = await self._run(self._store.perform, effect)
                self._state = operation_performed(self._state, operation)
                return None, result.model_copy(update={"found": found})
        except errors.StorageError as error:
            if isinstance(error, errors.ConnectionError):
                # Whatever comes back may be another store, or the same one without its points.
                self._prepared = False
            state, recovery = handle_storage_error(state, error, self._retrier.policy)
            result = Failure(error=error, recovery=recovery)
        self._state = self._state.model_copy(update={"error_state": state.error_state})
        return state.error_state, result

    @staticmethod
    def _is_away(result: Result) -> bool:
        return isinstance(result, Failure) and isinstance(result.error, errors.ConnectionError)

    async def _prepare(self) -> None:
        loop = asyncio.get_running_loop()

        def prepare() -> Prepared:
            prepared = self._store.prepare(accept_other=self._accept_other)
            # Noted although the caller may wait no more: it must be filled all the same.
            loop.call_soon_threadsafe(self._note_made, prepared.made)
            return prepared

        prepared = await self._run(prepare)
        self._points = prepared.points
        self._state = self._state.model_copy(
            update={"collections": prepared.collections, "indices": prepared.indices}
        )
        self._prepared = True

    def _note_made(self, made: frozenset[Collection]) -> None:
        self._made_anew |= made

    async def _run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking call in a worker thread. Raises `StorageError` and nothing else."""
        if self._workers is None:
            raise errors.StorageError("The vector store is closed.", retryable=False)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, partial(call, *args, **kwargs))
