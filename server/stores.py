"""The composition root's lower half: both stores, and the embedder between them.

`open_stores` is what the server and the offline commands have in common. Nothing that runs in the
background is begun here.
"""

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import SecretStr

from machines.charts import journaled_machines
from machines.declarations import UnreadableDeclaration, declaration_of, read_declaration
from machines.models.errors import JournalError
from machines.statechart.engine import AnyMachine
from server.addresses import is_private
from server.environment import Environment
from server.llm.choice import OPENAI_URL
from server.llm.embeddings import OpenAIEmbeddings
from server.memory.embeddings import EmbedderChoice, choose_embedder
from server.memory.opening import open_memory
from server.passing.port import NoPassing, Passing
from server.settings import InvalidSettings, Settings, variable
from storage.folder_lock import LOCK_FILE
from storage.journal.history import DECLARATION
from storage.journal.port import Journal
from storage.journal.postgres.address import PostgresAddress
from storage.journal.reader import SnapshotReader
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal, read_file
from storage.memory.points import fingerprint_of
from storage.private_files import make_private_folder
from storage.qdrant import client as qdrant

log = logging.getLogger(__name__)

MEMORY_FOLDER = "memory"
"""Of the embedded memory, in the data folder."""

FORMER_MEMORY_FOLDER = "qdrant"
"""Of the embedded memory as 0.3.0 and earlier kept it: an embedded Qdrant."""

OURS = (JOURNAL_FILE, LOCK_FILE, MEMORY_FOLDER, FORMER_MEMORY_FOLDER)
"""How the names in a data folder begin."""


@dataclass(frozen=True)
class Stores:
    """Both stores, open, and the embedder between them."""

    journal: Journal
    memory: qdrant.DatabaseClient
    embedder: EmbedderChoice


@asynccontextmanager
async def open_stores(
    settings: Settings,
    environment: Environment,
    *,
    accept_other_fingerprint: bool = False,
    alone: bool = False,
) -> AsyncIterator[Stores]:
    """The journal, the embedder and the memory.

    Args:
        accept_other_fingerprint: Whether a memory that another embedder made is opened too.
        alone: Whether no other process may hold a database meanwhile. A folder is always held alone.

    Raises:
        InvalidSettings: the journal is in a database, and no Qdrant server is named.
        StorageError: a store is held by another process or damaged, or another embedder made the
            vectors that are stored; the message is one line for an operator.
        AIError, NetworkError: the endpoint that is named for embeddings gives none.
    """
    async with AsyncExitStack() as stack:
        if settings.database_url is None:
            await asyncio.to_thread(_prepare_folder, settings)
        elif settings.qdrant_url is None:
            raise InvalidSettings(
                (
                    f"{variable('qdrant_url')} is not set: with {variable('database_url')} the "
                    "memory is on a Qdrant server",
                )
            )
        journal = journal_of(settings, alone=alone)
        await journal.open()
        stack.push_async_callback(journal.close)
        embedder = await choose_embedder(
            embedding_model=settings.embedding_model,
            endpoint_factory=lambda: _embeddings(settings, environment, stack),
        )
        stack.push_async_callback(embedder.embedder.close)
        memory = _memory(settings, environment, embedder)
        is_whole = await open_memory(
            journal,
            memory,
            fingerprint=fingerprint_of(embedder.embedder.fingerprint),
            accept_other_fingerprint=accept_other_fingerprint,
        )
        stack.push_async_callback(memory.close)
        if is_whole and not settings.qdrant_url:
            await asyncio.to_thread(_remove_former_memory, settings)
        yield Stores(journal, memory, embedder)


def journal_of(settings: Settings, *, alone: bool = False) -> Journal:
    """The journal that the settings name, not opened yet; `alone` as `open_stores` has it."""
    if settings.database_url is None:
        return SqliteJournal(settings.data / JOURNAL_FILE)
    # The driver is loaded where it is needed alone.
    from storage.journal.postgres.journal import PostgresJournal

    return PostgresJournal(address_of(settings.database_url), alone=alone)


async def passing_of(settings: Settings, journal: Journal, name: str) -> Passing:
    """What carries texts to the other servers of the same database, not running yet.

    Args:
        name: Of this server.

    Raises:
        InvalidSettings: Redis does not let this server in.
    """
    if settings.database_url is None:
        return NoPassing()
    if settings.redis_url is None:
        from storage.journal.postgres.passing import PostgresPassing

        return PostgresPassing(address_of(settings.database_url), name=name)
    from server.passing.redis import RedisPassing, RedisRefused

    try:
        passing = RedisPassing(
            settings.redis_url.get_secret_value(), space=await journal.origin(), name=name
        )
        await passing.check()
    except (ValueError, RedisRefused) as error:
        raise InvalidSettings((f"{variable('redis_url')}: {error}",)) from None
    return passing


def by_clock_of(journal: Journal, environment: Environment) -> Environment:
    """The environment with the clock that all servers of an open journal go by.

    Deadlines, and the times of entries, are compared at other servers than those that set them.
    """

    def now() -> datetime:
        return journal.now() or environment.now()

    return replace(environment, now=now) if journal.shared else environment


async def keep_declarations(journal: Journal) -> None:
    """Let the journal hold what each chart declares, under its fingerprint, before any entry is made with
    it: so what an entry says can be checked when the chart is another one.
    """
    await asyncio.gather(*(_keep(journal, machine) for machine in journaled_machines()))


async def _keep(journal: Journal, machine: AnyMachine) -> None:
    name = f"{DECLARATION}{machine.fingerprint}"
    kept = await journal.noted(name)
    if kept is not None:
        with suppress(UnreadableDeclaration):
            read_declaration(kept)
            return
    await journal.note(name, declaration_of(machine.topology).to_json())


def reading(settings: Settings) -> AbstractAsyncContextManager[SnapshotReader]:
    """Reads of the journal that the settings name, beside a server that holds it."""
    if settings.database_url is None:
        return read_file(settings.data / JOURNAL_FILE)
    from storage.journal.postgres.journal import read_database

    return read_database(address_of(settings.database_url))


def address_of(url: SecretStr) -> PostgresAddress:
    """Raises InvalidSettings where the driver knows no such address."""
    try:
        return PostgresAddress.parse(url.get_secret_value())
    except ValueError as error:
        raise InvalidSettings((f"{variable('database_url')} {error}",)) from None


def _prepare_folder(settings: Settings) -> None:
    """Make the data folder where it is missing. Raises JournalError where it lost its journal.

    A folder that was there before is closed to other accounts, unless it holds what is not ours.
    """
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    if all(each.name.startswith(OURS) for each in settings.data.iterdir()):
        make_private_folder(settings.data)
    file = settings.data / JOURNAL_FILE
    # An empty file is a fresh database to SQLite. Beside a memory it is one that lost everything.
    memories = (settings.data / MEMORY_FOLDER, settings.data / FORMER_MEMORY_FOLDER)
    if file.is_file() and file.stat().st_size == 0 and any(each.exists() for each in memories):
        raise JournalError(
            "The journal file is damaged: it is empty. Restore the data folder from a backup, or "
            "move it away to begin anew.",
            retryable=False,
        )


def _remove_former_memory(settings: Settings) -> None:
    """Remove the folder that an earlier version kept its memory in; what stays is tried again."""
    former = settings.data / FORMER_MEMORY_FOLDER
    try:
        shutil.rmtree(former)
    except FileNotFoundError:
        return
    except OSError as error:
        log.warning(
            "the folder %s, which is used no more, cannot be removed: %s",
            FORMER_MEMORY_FOLDER,
            error.strerror,
        )
        return
    log.info("the memory is whole in its new folder: the former one is removed")


def _memory(
    settings: Settings, environment: Environment, embedder: EmbedderChoice
) -> qdrant.DatabaseClient:
    location: qdrant.MemoryLocation = qdrant.EmbeddedMemory(settings.data / MEMORY_FOLDER)
    if settings.qdrant_url is not None:
        key = settings.qdrant_api_key
        if key is not None and not is_private(settings.qdrant_url):
            log.warning(
                "%s is sent in the clear: let %s begin with https",
                variable("qdrant_api_key"),
                variable("qdrant_url"),
            )
        location = qdrant.MemoryServer(
            url=settings.qdrant_url,
            api_key=key.get_secret_value() if key else None,
            connections=settings.qdrant_connections,
            spread=qdrant.Spread(settings.qdrant_shards, settings.qdrant_replicas),
        )

    async def embed(text: str) -> tuple[float, ...]:
        (vector,) = await embedder.embedder.embed([text])
        return vector

    return qdrant.DatabaseClient(
        location,
        dimensions=embedder.embedder.dimensions,
        fingerprint=fingerprint_of(embedder.embedder.fingerprint),
        jitter=environment.random,
        embed=embed,
    )


def _embeddings(
    settings: Settings, environment: Environment, stack: AsyncExitStack
) -> OpenAIEmbeddings:
    url = settings.openai_base_url or OPENAI_URL
    if settings.llm not in {"auto", "offline"}:
        url = settings.llm
    key = settings.openai_api_key
    endpoint = OpenAIEmbeddings(url, key.get_secret_value() if key else None, clock=environment.now)
    stack.push_async_callback(endpoint.close)
    return endpoint
