"""Data folders with so many threads of 50 entries, kept between rounds.

    python -m benchmarks.threads COUNT

One thread is lived through the real decisions, in three ways; the others are its copies under ids
and users of their own, committed by the real journal, and remembered by the real memory under
vectors that the installed embedder made of the texts. So `chorus verify` finds nothing, and the
folder is what a server would have made, if many users had said the same.

Each thread is public, with two co-authors and a reader who is none: a prompt and its answer, which
took three iterations, rejected messages, and one that waits for votes until its deadline. In two of a
hundred the run is not finished: its step is under way, or waits for its retry.
"""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count, islice
from pathlib import Path
from shutil import copytree, disk_usage, rmtree
from tempfile import TemporaryDirectory
from typing import Any, Final

from nacl.signing import SigningKey

from machines.decisions.threads import decide, open_thread
from machines.models.chorus import Awaited, ChorusState, EffectResult, StepCompleted
from machines.models.commands import (
    AcceptInvitation,
    AdvanceRun,
    Facts,
    Invite,
    OpenThread,
    Policy,
    Rename,
    SubmitMessage,
    ThreadCommand,
    Vote,
)
from machines.models.ids import MessageId, PublicKey, ThreadId
from machines.models.journal import Batch, JournalEntry, MemoryTask, TimerRow
from machines.models.keys import encode_public_key
from machines.models.message import Decision as Verdict
from machines.models.outputs import StepEnum
from machines.models.thread import Visibility
from server.environment import system_environment
from server.memory.recall import MemoryService
from server.settings import Settings, load_settings
from server.stores import Stores, open_stores
from storage.journal.answers import StoredVector
from storage.memory.points import fingerprint_of
from tests.machines.transitions import chorus_scenarios as steps
from tests.machines.transitions.values import NOW

CACHE: Final = Path(__file__).parent / ".cache"

ENTRIES: Final = 50
"""Of each thread."""
THREADS_OF_PERSON: Final = 100
UNFINISHED_EVERY: Final = 100
"""So many threads have one whose run is under way, and one whose run waits for its retry."""

_MARK: Final = "0badcafe-"
"""The beginning of every id of the thread that is lived; a copy has its number there."""
_ROLES: Final = ("alice", "bob", "carol")
"""Two co-authors, and a reader who is none."""
_POLICY: Final = Policy(approval_days=36_500.0, pending_per_user=0)
"""No deadline passes between two rounds."""
_IN_MEMORY: Final = Path("/dev/shm")
_ROOM: Final = 8 * 2**30
"""Bytes; the largest folder takes a third of it."""
_GROUP: Final = 200
"""Threads committed at once."""


class Lived:
    """A thread in the making: commands go in, one batch comes out."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self.id = ThreadId(self._uuid())
        self.alice, self.bob, self.carol = (person(role, 0) for role in _ROLES)
        begun = open_thread(
            OpenThread(**self._basis(self.alice), name="Tides", visibility=Visibility.PUBLIC)
        )
        self.facts: Facts = begun.facts
        self.entries: list[JournalEntry] = list(begun.batch.entries)
        self._timers: dict[str, TimerRow] = {}
        self._memory: list[MemoryTask] = []

    @property
    def batch(self) -> Batch:
        """Everything that happened, as if it had been decided at once."""
        return Batch(
            entries=tuple(self.entries),
            timers=tuple(self._timers.values()),
            memory=tuple(self._memory),
        )

    def do(self, command: ThreadCommand) -> str:
        """Decide a command; the id of the message that it is about, if any."""
        decision = decide(self.facts, command, _POLICY)
        self.facts = decision.facts
        self.entries.extend(decision.batch.entries)
        self._memory.extend(decision.batch.memory)
        for timer_id in decision.batch.cancelled_timers:
            self._timers.pop(timer_id, None)
        self._timers.update({row.id: row for row in decision.batch.timers})
        return decision.message_id or ""

    def invite(self) -> None:
        """Bob becomes a co-author."""
        self.do(Invite(**self._basis(self.alice), public_key=self.bob))
        self.do(AcceptInvitation(**self._basis(self.bob)))

    def prompt(self) -> None:
        """Alice asks, and a run starts."""
        self.do(SubmitMessage(**self._basis(self.alice), content=_text("What of the tides", 3)))

    def ask_from_outside(self) -> str:
        """Carol's message waits for votes."""
        return self.do(SubmitMessage(**self._basis(self.carol), content=_text("And the moon", 3)))

    def reject(self, message_id: str) -> None:
        """Bob does."""
        self.do(
            Vote(
                **self._basis(self.bob),
                message_id=MessageId(message_id),
                decision=Verdict.REJECT,
                reason="Not now.",
            )
        )

    def rename(self) -> None:
        """One more entry."""
        name = f"Tides, {len(self.entries)}"
        self.do(Rename(**self._basis(self.alice), name=name))

    @property
    def run(self) -> ChorusState:
        """The one that is under way."""
        (run,) = self.facts.view.runs
        return run

    def advance(self, event: EffectResult) -> None:
        """Something came back for the run."""
        self.do(AdvanceRun(**self._basis(None), run_id=self.run.id, event=event))

    def walk(self, *, loops: int = 0, stop_at: tuple[int, StepEnum] | None = None) -> None:
        """Let the run go on to its end, or until it waits for the model there."""
        while self.facts.view.runs:
            run = self.run
            if run.awaiting is Awaited.PRIORS:
                self.advance(steps.recalled(run, ()))
                continue
            if (run.iteration, run.current_step) == stop_at:
                return
            self.advance(_answered(run, loop=run.iteration <= loops))

    def _basis(self, by: PublicKey | None) -> dict[str, Any]:
        return {
            "thread_id": self.id,
            "at": NOW + timedelta(seconds=next(self._numbers)),
            "by": by,
            "ids": tuple(self._uuid() for _ in range(4)),
        }

    def _uuid(self) -> str:
        return f"{_MARK}0000-4000-8000-{next(self._numbers):012d}"


def person(role: str, number: int) -> PublicKey:
    """The key of the person of that role and number."""
    return encode_public_key(bytes(signing_key(role, number).verify_key))


def signing_key(role: str, number: int) -> SigningKey:
    """Not secret: derived from the role and the number."""
    return SigningKey(hashlib.sha256(f"{role} {number}".encode()).digest())


def thread_of(number: int) -> ThreadId:
    """The id of a thread, counted from 0."""
    first = ThreadId(Lived().id)
    return ThreadId(first.replace(_MARK, f"{number:08x}-"))


def _text(about: str, sentences: int) -> str:
    """Some 60 characters for each sentence."""
    return " ".join(
        f"{about}, and what the water does in the {number}. hour?" for number in range(sentences)
    )


def _answered(run: ChorusState, *, loop: bool) -> StepCompleted:
    return steps.answered(run, loop=loop, text=_text(f"What {run.current_step} says of it", 2))


# --- The three ways -----------------------------------------------------------------------------


def _lived(way: str) -> Batch:
    """One thread: `finished`, `under_way` or `recovering`."""
    thread = Lived()
    thread.invite()
    thread.prompt()
    if way == "finished":
        thread.walk(loops=2)
    else:
        thread.walk(loops=2, stop_at=(3, StepEnum.OBSERVATION))
        if way == "recovering":
            thread.advance(steps.ai_failed(thread.run))
    while len(thread.entries) < ENTRIES - 3:
        thread.reject(thread.ask_from_outside())
    while len(thread.entries) < ENTRIES - 1:
        thread.rename()
    thread.ask_from_outside()
    if len(thread.entries) != ENTRIES:
        raise AssertionError(f"a thread of {len(thread.entries)} entries was lived")
    return thread.batch


def _way_of(number: int) -> str:
    place = number % UNFINISHED_EVERY
    return {7: "under_way", 57: "recovering"}.get(place, "finished")


def is_finished(number: int) -> bool:
    """Whether the run of that thread is."""
    return _way_of(number) == "finished"


def unfinished_among(threads: int) -> int:
    """How many runs are not finished."""
    return sum(not is_finished(number) for number in range(threads))


def _copies(texts: dict[str, str], threads: int) -> Iterator[Batch]:
    for number in range(threads):
        text = texts[_way_of(number)].replace(_MARK, f"{number:08x}-")
        for role in _ROLES:
            text = text.replace(person(role, 0), person(role, number // THREADS_OF_PERSON))
        yield Batch.model_validate_json(text)


# --- The folder ---------------------------------------------------------------------------------


def folder_of(threads: int) -> Path:
    """The data folder with so many threads, made where it is not there yet. It must stay as it is."""
    texts = {way: _lived(way).model_dump_json() for way in ("finished", "under_way", "recovering")}
    made_of = hashlib.sha256("".join(texts.values()).encode()).hexdigest()[:12]
    folder = CACHE / f"threads-{threads}-{made_of}"
    if not folder.exists():
        # What other code made is of no more use, and large.
        for stale in CACHE.glob(f"threads-{threads}-*"):
            rmtree(stale)
        unfinished = folder.with_suffix(".making")
        with TemporaryDirectory(prefix="chorus-threads-", dir=_scratch()) as name:
            asyncio.run(_make(Path(name) / "data", texts, threads))
            copytree(Path(name) / "data", unfinished)
        unfinished.rename(folder)
    return folder


def _scratch() -> Path | None:
    """Where nothing waits for a disk: embedded Qdrant waits for each point. None where that is small."""
    if _IN_MEMORY.is_dir() and disk_usage(_IN_MEMORY).free > _ROOM:
        return _IN_MEMORY
    return None


def copied(threads: int, target: Path) -> Path:
    """A copy that may be written to."""
    return Path(copytree(folder_of(threads), target))


async def _make(data: Path, texts: dict[str, str], threads: int) -> None:
    settings: Settings = load_settings({"data": str(data), "llm": "offline"})
    async with open_stores(settings, system_environment()) as stores:
        copies = _copies(texts, threads)
        while group := list(islice(copies, _GROUP)):
            await asyncio.gather(*(stores.journal.commit(batch) for batch in group))
        remembered = await _keep_vectors(stores)
        if remembered != 2 * threads - unfinished_among(threads):
            raise AssertionError(f"{threads} threads have {remembered} approved messages")
        async with _fed(stores):
            while await stores.journal.first_queued(None) is not None:  # noqa: ASYNC110 - not told
                await asyncio.sleep(0.05)


async def _keep_vectors(stores: Stores) -> int:
    """Embed each text once: the copies say the same. How many approved messages there are."""
    embedder = stores.embedder.embedder
    known: dict[str, tuple[float, ...]] = {}
    some: list[StoredVector] = []
    async for message, _, _ in stores.journal.approved_messages():
        vector = known.get(message.content)
        if vector is None:
            (vector,) = await embedder.embed([message.content])
            known[message.content] = vector
        some.append(
            StoredVector(
                message_id=message.id,
                fingerprint=fingerprint_of(embedder.fingerprint),
                vector=vector,
            )
        )
    for begin in range(0, len(some), 1_000):
        await stores.journal.keep_vectors(some[begin : begin + 1_000])
    return len(some)


@asynccontextmanager
async def _fed(stores: Stores) -> AsyncIterator[None]:
    """The memory follows the journal meanwhile."""
    memory_service = MemoryService(stores.journal, stores.memory, stores.embedder.embedder)
    feeding = asyncio.create_task(memory_service.run())
    try:
        yield
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)


if __name__ == "__main__":
    print(folder_of(int(sys.argv[1])))
