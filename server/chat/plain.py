"""The chat without a tty: lines in, answers out. A script is its user.

Each line is a prompt or a slash command, carried out to the end before the next is read. Answers
and lists go to `out`, everything that tells how it is going to `progress`; nothing is coloured.
"""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import BinaryIO

from rich.console import Console

from server.chat import pieces, render
from server.chat.client import ChorusClient
from server.chat.errors import BadInput, RefusedByServer
from server.chat.events import ClientEvent, Gone, Live, Offline, Online, Opened
from server.chat.frames import AcceptedReply, Notice, StepCompletedEvent, StepRecoveringEvent
from server.chat.runs import ChatRun, ChatRunStatus
from server.chat.session import ChatSession
from server.chat.text import clean, one_line
from server.chat.verbs import Command, Verb, parse
from server.chat.view import ChatState, begins_to_wait

ATTEMPTS = 5
"""How often a request that came too early is asked again before it counts as refused."""

WIDTH = 160


async def read_lines(stream: BinaryIO) -> AsyncIterator[str]:
    """The lines of a file, pipe or device; bytes that are no UTF-8 are replaced.

    A daemon thread reads, since no other way serves files as well as pipes: it is not waited for
    when the program ends.
    """
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str | None] = asyncio.Queue(maxsize=16)

    def read() -> None:
        try:
            for line in stream:
                text = line.decode("utf-8", "replace")
                asyncio.run_coroutine_threadsafe(lines.put(text), loop).result()
            asyncio.run_coroutine_threadsafe(lines.put(None), loop).result()
        except RuntimeError:
            return  # the loop is closed: no caller is left

    threading.Thread(target=read, name="chat-stdin", daemon=True).start()
    while (line := await lines.get()) is not None:
        yield line


class PlainChat:
    """One run over a stream of lines; see `run`."""

    def __init__(self, client: ChorusClient, *, out: Console, progress: Console) -> None:
        self._client = client
        self._out = out
        self._progress = progress
        self._session = ChatSession(client, show=lambda shown: out.print(pieces.Harmless(shown)))

    async def run(
        self, lines: AsyncIterator[str], thread: str | None, at: str | None = None
    ) -> int:
        """Carry out every line, with `thread` open, at first as it was `at` a moment; returns 0 if all of it succeeded, else 1.

        Raises what ended the session, and RefusedByServer or BadInput where `thread` cannot be opened.
        """
        events = asyncio.create_task(self._pump(), name="chat-events")
        work = asyncio.create_task(self._work(lines, thread, at), name="chat-lines")
        try:
            await asyncio.wait({events, work}, return_when=asyncio.FIRST_COMPLETED)
            return work.result() if work.done() else events.result()
        finally:
            events.cancel()
            work.cancel()
            await asyncio.gather(events, work, return_exceptions=True)

    async def _work(self, lines: AsyncIterator[str], thread: str | None, at: str | None) -> int:
        failed = False
        if thread is not None:
            await self._session.do(Command(Verb.OPEN, thread))
        if at is not None:
            await self._session.do(Command(Verb.AT, at))
        async for line in lines:
            try:
                command = parse(line)
                if command is None:
                    continue
                if command.verb is Verb.QUIT:
                    break
                failed |= not await self._carry_out(command)
            except (RefusedByServer, BadInput) as error:
                failed = True
                self._tell(str(error))
        return 1 if failed else 0

    async def _carry_out(self, command: Command) -> bool:
        """Whether the command, and the run that it began, succeeded."""
        accepted = await self._with_retries(command)
        if accepted is None or accepted.run_id is None or command.verb is Verb.STOP:
            return True
        run_id = accepted.run_id
        state = await self._session.until(lambda state: _is_over(state, run_id))
        run = state.run(run_id)
        if run is None:
            self._tell("The thread is closed; the run goes on without you.")
            return False
        return self._report(run, state)

    async def _with_retries(self, command: Command) -> AcceptedReply | None:
        """Ask again, after the time that the server names, what it only refuses for now."""
        for _ in range(ATTEMPTS):
            try:
                return await self._session.do(command)
            except RefusedByServer as refused:
                if refused.retry_after_ms is None:
                    raise
                self._tell(f"{refused} Waiting {refused.retry_after_ms / 1000:.1f} s.")
                await asyncio.sleep(refused.retry_after_ms / 1000)
        return await self._session.do(command)

    def _report(self, run: ChatRun, state: ChatState) -> bool:
        if run.answer is not None:
            self._out.file.write(clean(run.answer.content or "") + "\n")
            for citation in render.citations(run.answer.citations, state):
                self._out.file.write(clean(citation.plain).strip() + "\n")
            self._out.file.flush()
            if run.answer.cut:
                self._tell("The answer is cut at the length limit.")
        elif run.status is ChatRunStatus.READY:
            if run.current is not None:
                self._out.file.write(clean(run.current.text) + "\n")
                self._out.file.flush()
            self._tell("It is a branch: /adopt proposes that it stands in the thread.")
            return True
        elif run.failure is not None:
            self._tell("The run failed ({}): {}".format(*run.failure))
        elif run.status is ChatRunStatus.CANCELLED:
            self._tell("The run was stopped.")
        else:
            self._tell("The run ended while the connection was away; open the thread to see how.")
        return run.answer is not None

    async def _pump(self) -> int:
        """Fold events until the session ends, which raises why."""
        async for event in self._client.events():
            before, after = self._session.take(event)
            self._follow(before, event, after)
        return 1

    def _follow(self, before: ChatState, event: ClientEvent, after: ChatState) -> None:
        """One line for what a script's owner wants to see go by."""
        match event:
            case Live(body=StepCompletedEvent() as done):
                self._tell(f"{done.step}, loop {done.iteration}{_recalled(done)}")
            case Live(body=StepRecoveringEvent() as lost):
                self._tell(f"{lost.step}, loop {lost.iteration}: {lost.code}, trying again")
            case Opened(snapshot) if before.thread is None:
                self._tell(f"thread {snapshot.thread.id}")
            case Notice() if why := begins_to_wait(before, after):
                self._tell(pieces.waiting(why))
            case Offline(failures=1, reason=reason):
                self._tell(f"connection lost ({reason}), dialling again")
            case Online(resumed=True):
                self._tell("back online")
            case Gone(reason=reason):
                self._tell(f"the thread is closed: {reason}")
            case _:
                pass  # the answer says the rest

    def _tell(self, text: str) -> None:
        self._progress.file.write(f"· {one_line(text, 400)}\n")
        self._progress.file.flush()


def _recalled(done: StepCompletedEvent) -> str:
    """What a step says of the memory; most say nothing."""
    if done.memory_available is False:
        return ", the memory could not be searched"
    return "" if done.priors is None else f", {len(done.priors)} priors"


def _is_over(state: ChatState, run_id: str) -> bool:
    run = state.run(run_id)
    return state.thread is None or (run is not None and not run.is_live)
