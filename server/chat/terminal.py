"""The user interface on a tty: what is done scrolls away above, what happens now stands below it.

Finished things (messages, steps, answers) are printed once, above the prompt. The region over the
input line is drawn anew while something runs: spinner, step, loop, the last lines of its text, or
the countdown of a retry or a redial. This module decides when; `render` decides what.
"""

import asyncio
import math
import textwrap
from collections.abc import Callable, Coroutine
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.styles import Style
from rich.console import Console, RenderableType

from server.chat import pieces, render
from server.chat.client import ChorusClient
from server.chat.errors import BadInput, ChatError, RefusedByServer
from server.chat.events import ClientEvent, Live, Offline
from server.chat.frames import StepRecoveringEvent
from server.chat.runs import ChatRun, StepStatus
from server.chat.session import ChatSession
from server.chat.text import clean, one_line
from server.chat.verbs import USAGE, Command, Verb, parse
from server.chat.view import ChatState

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
TICK_SECONDS = 0.1
TAIL_LINES = 6

_STYLE = Style.from_dict(
    {
        "bottom-toolbar": "noreverse ansibrightblack",
        "online": "ansigreen",
        "offline": "ansired",
        "attention": "ansiyellow",
        "quiet": "ansibrightblack",
        "prompt": "bold ansicyan",
        "action": "bold ansibrightcyan",
        "experience": "bold ansibrightmagenta",
        "intention": "bold ansibrightyellow",
        "observation": "bold ansibrightblue",
        "update": "bold ansibrightgreen",
        "yield": "bold ansiwhite",
    }
)


class Terminal:
    """One chat on a tty; see `run`."""

    def __init__(self, client: ChorusClient, *, history: Path, clock: Callable[[], float]) -> None:
        self._client = client
        self._clock = clock
        self._console = Console(highlight=False)
        self._session = ChatSession(client, show=self._print)
        self._commands: asyncio.Queue[Command] = asyncio.Queue()
        self._again_at = 0.0
        """When the retry or the redial that is waited for is due, by `clock`."""
        self._prompt: PromptSession[str] = PromptSession(
            message=self._above_input,
            bottom_toolbar=self._toolbar,
            history=FileHistory(str(history)),
            auto_suggest=AutoSuggestFromHistory(),
            completer=WordCompleter([f"/{verb}" for verb in USAGE], sentence=True),
            complete_while_typing=False,
            key_bindings=_bindings(),
            style=_STYLE,
            erase_when_done=True,  # what was sent comes back as a message of the thread
        )

    async def run(self, thread: str | None, at: str | None = None) -> None:
        """Chat, with `thread` open, at first as it was `at` a moment, until the person quits. Raises what
        ended the session otherwise."""
        first = Command(Verb.THREADS) if thread is None else Command(Verb.OPEN, thread)
        self._commands.put_nowait(first)
        if at is not None:
            self._commands.put_nowait(Command(Verb.AT, at))
        with patch_stdout(raw=True):
            events = asyncio.create_task(self._pump(), name="chat-events")
            keys = asyncio.create_task(self._read(), name="chat-keys")
            work: list[Coroutine[None, None, None]] = [self._carry_out(), self._tick()]
            others = [asyncio.create_task(each) for each in work]
            try:
                done, _ = await asyncio.wait(
                    {events, keys, *others}, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    task.result()
            finally:
                for task in (events, keys, *others):
                    task.cancel()
                await asyncio.gather(events, keys, *others, return_exceptions=True)

    # -- tasks -----------------------------------------------------------------------------------

    async def _pump(self) -> None:
        async for event in self._client.events():
            before, after = self._session.take(event)
            self._note_due_time(event)
            if self._session.past is None or not isinstance(event, Live):
                for renderable in render.scrollback(before, event, after):
                    self._print(renderable)
            self._prompt.app.invalidate()

    async def _read(self) -> None:
        """Take lines until the person leaves."""
        while True:
            try:
                line = await self._prompt.prompt_async()
                command = parse(line)
            except EOFError:
                return
            except KeyboardInterrupt:
                self._print(pieces.note("/stop stops the run; /quit or Ctrl-D leaves."))
                continue
            except BadInput as error:
                self._print(pieces.problem(str(error)))
                continue
            if command is None:
                if self._session.past is not None:
                    self._commands.put_nowait(Command(Verb.NOW))
                continue
            if command.verb is Verb.QUIT:
                return
            self._commands.put_nowait(command)

    async def _carry_out(self) -> None:
        """Carry out commands in order, beside the input: it stays alive while one waits."""
        while True:
            command = await self._commands.get()
            try:
                await self._session.do(command)
            except (RefusedByServer, BadInput) as error:
                self._print(pieces.problem(str(error)))
            except ChatError:
                return  # the session ended; `_pump` raises it

    async def _tick(self) -> None:
        """Redraw while something moves."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            state = self._session.state
            if state.live_runs or isinstance(state.link, Offline):
                self._prompt.app.invalidate()

    # -- drawing ---------------------------------------------------------------------------------

    def _print(self, renderable: RenderableType) -> None:
        self._console.print(pieces.Harmless(renderable))

    def _note_due_time(self, event: ClientEvent) -> None:
        if isinstance(event, Offline):
            self._again_at = self._clock() + event.retry_in
        elif isinstance(event, Live) and isinstance(event.body, StepRecoveringEvent):
            self._again_at = self._clock() + event.body.retry_in_ms / 1000

    def _remaining(self) -> str:
        return f"{math.ceil(max(0.0, self._again_at - self._clock()))} s"

    def _spinner(self) -> str:
        return SPINNER[int(self._clock() / TICK_SECONDS) % len(SPINNER)]

    def _above_input(self) -> StyleAndTextTuples:
        state = self._session.state
        run = state.running
        shown: StyleAndTextTuples = []
        if run is not None:
            shown += self._running(run)
        elif state.live_runs:
            shown += [("class:quiet", f"{self._spinner()} waiting for its turn\n")]
        return [*shown, ("class:prompt", "> ")]

    def _running(self, run: ChatRun) -> StyleAndTextTuples:
        step = run.current
        if step is None:
            return []
        name = one_line(step.step, 20)
        shown: StyleAndTextTuples = [
            ("class:attention", f"{self._spinner()} "),
            (f"class:{name}" if name.isalpha() else "", name.capitalize()),
            ("class:quiet", f" · loop {step.iteration}"),
        ]
        if step.attempt > 1:
            shown.append(("class:attention", f" · attempt {step.attempt}"))
        if step.status is StepStatus.RECOVERING:
            waiting = f" · {one_line(step.code, 40)}, again in {self._remaining()}"
            shown.append(("class:attention", waiting))
        elif thought := render.thinking(step):
            shown.append(("class:quiet", f" · {thought}"))
        shown.append(("", "\n"))
        if step.status is StepStatus.RUNNING:
            tail = _tail(step.text, self._console.width - 4)
            shown += [("class:quiet", f"  {line}\n") for line in tail]
        return shown

    def _toolbar(self) -> StyleAndTextTuples:
        state = self._session.state
        shown = [self._link(state)]
        if state.thread is not None:
            shown.append(("", f" · {one_line(state.thread.name, 40)}"))
        if (past := self._session.past) is not None:
            shown.append(("class:attention", f" · as it was after entry {past.seq}, Enter: now"))
        if waiting := len(state.to_vote_on):
            shown.append(("class:attention", f" · {waiting} to approve"))
        if queued := len(state.live_runs) - (state.running is not None):
            shown.append(("", f" · {queued} queued"))
        if state.model:
            shown.append(("", f" · {one_line(state.model, 40)}"))
        return [*shown, ("", " · /help")]

    def _link(self, state: ChatState) -> tuple[str, str]:
        if isinstance(state.link, Offline):
            return (
                "class:offline",
                f"{self._spinner()} offline ({one_line(state.link.reason, 40)}), attempt {state.link.failures} in {self._remaining()}",
            )
        return ("class:online", "● online") if state.link else ("class:quiet", "○")


def _tail(text: str, width: int) -> list[str]:
    """The last lines of a text, wrapped, as many as the region over the input has room for."""
    width = max(width, 20)
    end = clean(text[-width * TAIL_LINES * 2 :]).expandtabs(4)
    wrapped = [part for line in end.split("\n") for part in textwrap.wrap(line, width)]
    return wrapped[-TAIL_LINES:]


def _bindings() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return bindings
