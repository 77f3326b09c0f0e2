"""`chorus ask`: the main job without a server, on the local store, as the local person.

The same services run as in the server; the asker follows the thread as a connection would, and
reads the frames that a terminal client reads. Steps go to standard error, the answer to standard
output.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final, assert_never

from rich.console import Console, Group, RenderableType
from rich.live import Live as LiveRegion
from rich.spinner import Spinner
from rich.text import Text

from machines.models.commands import OpenThread, StopRun, SubmitMessage
from machines.models.ids import PublicKey, RunId, ThreadId
from machines.models.thread import ThreadStatus, Visibility
from server.chat import pieces, render
from server.chat.events import Live, Opened
from server.chat.frames import (
    ChatMessage,
    ChatPrior,
    ChatThread,
    Frame,
    Notice,
    RunCancelledEvent,
    RunFailedEvent,
    RunFinishedEvent,
    RunQueuedEvent,
    StepCompletedEvent,
    StepDeltaEvent,
    StepRecoveringEvent,
    StepStartedEvent,
    StepThinkingEvent,
    ThreadEvent,
    ThreadMessages,
    parse_live,
)
from server.chat.keyfile import default_key_file, load_or_create
from server.chat.runs import ChatRun, StepStatus
from server.chat.text import clean, one_line
from server.chat.view import ChatState, begins_to_wait, fold
from server.commands.errors import CommandFailed
from server.environment import Environment
from server.llm.choice import ModelNotChosen
from server.services import Services, open_services
from server.settings import Settings
from server.threads.broadcast import Delta

THREAD_NAME: Final = "Asked from the command line"
"""A private thread of the local person alone; where there is none, it is made."""

EXCERPT_CHARS: Final = 100
_PAGE: Final = 200
_TAIL_LINES: Final = 6
_STOP_SECONDS: Final = 5.0
"""How long an interrupted ask waits until its run is stopped."""


class Asker:
    """Follows a thread as a connection would, and keeps what it hears."""

    def __init__(self, public_key: PublicKey) -> None:
        self.public_key = public_key
        self.sink = self
        self._heard: asyncio.Queue[str | None] = asyncio.Queue()

    def send(self, text: str) -> None:
        """Take a frame; called by the broadcast."""
        self._heard.put_nowait(text)

    def send_delta(self, delta: Delta) -> None:
        """Take a passing frame; called by the broadcast."""
        self._heard.put_nowait(delta.encoded)

    def lose_thread(self, thread_id: ThreadId) -> None:
        """Nothing more follows; called by the broadcast."""
        del thread_id
        self._heard.put_nowait(None)

    def too_slow(self) -> None:
        """It cannot catch up any more; called by the broadcast."""
        self._heard.put_nowait(None)

    async def next(self) -> Live | Notice | None:
        """What happens next in the thread; None once it may not be read any more."""
        while (text := await self._heard.get()) is not None:
            frame = Frame.model_validate_json(text)
            if frame.type == "notice":
                return Notice.model_validate(frame.data)
            if (body := parse_live(frame)) is not None and frame.thread_id is not None:
                return Live(frame.thread_id, frame.seq, body)
        return None


async def ask(
    settings: Settings,
    environment: Environment,
    prompt: str,
    *,
    out: Console,
    progress: Console,
    steps: bool = False,
) -> None:
    """Run the six steps on `prompt`: steps go to `progress` as they happen, the answer to `out`.

    Args:
        steps: tell each step whole; else it is one line.

    Raises:
        CommandFailed: the run failed or was cancelled; the text says why.
        ChorusError, KeyFileError: what it needs is not to be had.
    """
    key_file = default_key_file(os.environ, Path.home())
    identity = await asyncio.to_thread(load_or_create, key_file)
    me = PublicKey(identity.public_key)
    async with _services(settings, environment) as services:
        environment = services.environment
        thread_id = await _own_thread(services, environment, me)
        asker = Asker(me)
        start = await _follow(services, thread_id, asker)
        model, embedder = services.model.model.name, services.embedder.embedder.name
        _tell(progress, pieces.note(f"model {model} · memory {embedder} · thread {thread_id}"))
        submitted = await services.thread_service.perform(
            thread_id,
            lambda ids: SubmitMessage(
                thread_id=thread_id, at=environment.now(), by=me, ids=ids, content=prompt
            ),
        )
        run_id = submitted.run_id
        assert run_id is not None  # noqa: S101 - a co-author's prompt is run
        try:
            watched = _watch(asker, start, run_id, progress, settings.storage_wait_seconds, steps)
            answered = await watched
        except asyncio.CancelledError:
            await _stop(services, environment, me, thread_id, run_id)
            raise
        finally:
            services.broadcast.unfollow(thread_id, asker)
    _print_answer(answered, me, out)
    if answered[0].cut:
        _tell(progress, render.CUT)


@asynccontextmanager
async def _services(settings: Settings, environment: Environment) -> AsyncIterator[Services]:
    try:
        async with open_services(settings, environment) as services:
            yield services
    except ModelNotChosen as error:
        raise CommandFailed(f"No model: {error}", exit_code=2) from error


async def _own_thread(services: Services, environment: Environment, me: PublicKey) -> ThreadId:
    """The thread that asks go to.

    Only one of which this person is the sole co-author: others could make one of the same name.
    """
    after: str | None = None
    while True:
        page = await services.journal.threads_of(me, after=after, limit=_PAGE)
        for row in page.rows:
            thread = row.thread
            if (
                thread.name == THREAD_NAME
                and thread.visibility is Visibility.PRIVATE
                and thread.status is ThreadStatus.ACTIVE
                and thread.co_authors == (me,)
            ):
                return thread.id
        if page.next is None:
            break
        after = page.next
    opened = await services.thread_service.open_thread(
        OpenThread(
            thread_id=ThreadId(environment.new_id()),
            at=environment.now(),
            by=me,
            name=THREAD_NAME,
            visibility=Visibility.PRIVATE,
        )
    )
    return opened.thread_id


async def _follow(services: Services, thread_id: ThreadId, asker: Asker) -> ChatState:
    """Hear everything of the thread from now on; gives what a person sees of it at first."""
    services.broadcast.follow(thread_id, asker)
    view = await services.thread_service.view(thread_id)
    assert view is not None  # noqa: S101 - it was found or made a moment ago
    services.broadcast.go_live(thread_id, asker, view.thread, view.head_seq)
    thread = ChatThread(
        id=thread_id, name=view.thread.name, visibility=view.thread.visibility.value
    )
    snapshot = ThreadMessages(thread=thread, head_seq=view.head_seq)
    return fold(ChatState(me=asker.public_key), Opened(snapshot))


async def _watch(
    asker: Asker,
    start: ChatState,
    run_id: RunId,
    progress: Console,
    patience: float,
    steps: bool,
) -> tuple[ChatMessage, ChatRun]:
    """Show the run until it ends; gives its answer, and the run with all its steps.

    Raises CommandFailed where it ends without an answer, or waits too long for the journal.
    """
    region = LiveRegion(console=progress, transient=True, refresh_per_second=10)
    with region if progress.is_terminal else nullcontext():
        async for before, heard, state in _folded(asker, start, patience):
            if why := begins_to_wait(before, state):
                _tell(progress, pieces.note(pieces.waiting(why)))
            if isinstance(heard, Notice):
                continue
            body = heard.body
            if isinstance(body, ThreadEvent) or body.run_id != run_id:
                continue
            run = state.run(run_id)
            assert run is not None  # noqa: S101 - it was folded a line ago
            match body:
                case RunFinishedEvent():
                    return body.message, run
                case RunFailedEvent():
                    raise CommandFailed(f"The run failed ({body.code}): {body.message}")
                case RunCancelledEvent():
                    raise CommandFailed("The run was cancelled.")
                case StepCompletedEvent() if not steps:
                    _tell(progress, render.folded_step(body))
                case StepCompletedEvent(step=step, priors=None) if render.gives_answer(body):
                    _tell(progress, render.step_title(step or "", body.iteration, body.attempt))
                case RunQueuedEvent() | StepCompletedEvent() | StepRecoveringEvent():
                    for shown in render.scrollback(before, heard, state):
                        _tell(progress, shown)
                case StepStartedEvent() | StepDeltaEvent() | StepThinkingEvent():
                    pass  # shown below, for as long as it lasts
                case _:
                    assert_never(body)
            if progress.is_terminal:
                region.update(_happening(run, progress))
    raise CommandFailed("The thread may not be read any more.")


async def _folded(
    asker: Asker, state: ChatState, patience: float
) -> AsyncIterator[tuple[ChatState, Live | Notice, ChatState]]:
    """What happens in the thread, with the states before and after it.

    Raises CommandFailed where a run has waited for the journal for `patience` seconds.
    """
    deadline: float | None = None
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                heard = await asker.next()
        except TimeoutError:
            why = f"{state.waits_because} The run waited for {patience:g} s"
            raise CommandFailed(f"{why}; it goes on with the next ask.") from None
        if heard is None:
            return
        before, state = state, fold(state, heard)
        if state.waits_because is None:
            deadline = None
        elif deadline is None:
            deadline = asyncio.get_running_loop().time() + patience
        yield before, heard, state


async def _stop(
    services: Services, environment: Environment, me: PublicKey, thread_id: ThreadId, run_id: RunId
) -> None:
    """Cancel the run of an interrupted ask; else it would go on with the next one."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_STOP_SECONDS):
            await services.thread_service.perform(
                thread_id,
                lambda ids: StopRun(
                    thread_id=thread_id, at=environment.now(), by=me, ids=ids, run_id=run_id
                ),
            )


# --- What is shown -------------------------------------------------------------------------------


def _tell(console: Console, shown: RenderableType) -> None:
    """Print; elsewhere than on a terminal without the spaces that fill its lines."""
    harmless = pieces.Harmless(shown)
    if console.is_terminal:
        console.print(harmless)
        return
    with console.capture() as captured:
        console.print(harmless)
    for line in captured.get().splitlines():
        console.file.write(f"{line.rstrip()}\n")
    console.file.flush()


def _happening(run: ChatRun, console: Console) -> RenderableType:
    """The step under way: a spinner, and the last lines of its text."""
    step = run.current
    if step is None:
        return Spinner("dots", Text("waiting for its turn", style="dim"))
    title = render.step_title(step.step, step.iteration, step.attempt)
    if step.status is StepStatus.RECOVERING:
        title.append(f" · {one_line(step.code, 40)}, waiting to try again", style="yellow")
    elif thought := render.thinking(step):
        title.append(f" · {thought}", style="dim")
    width = max(console.width - 4, 20)
    tail = Text(clean(step.text[-width * _TAIL_LINES :]), style="dim")
    lines = tail.wrap(console, width)[-_TAIL_LINES:]
    return Group(Spinner("dots", title), *(Text("  ") + line for line in lines))


def _print_answer(answered: tuple[ChatMessage, ChatRun], me: PublicKey, out: Console) -> None:
    message, run = answered
    content = clean(message.content or "")
    # Hyperlinks off: a link then shows where it leads, instead of hiding it behind its words.
    body = pieces.AnswerMarkdown(content) if out.is_terminal else Text(content)
    _tell(out, body)
    supplied = {prior.message_id: prior for step in run.steps for prior in step.priors}
    if message.citations:
        _tell(out, Text("\nSources", style="bold"))
    for citation in message.citations:
        label = (f"[{one_line(citation.label, 20)}] ", "cyan")
        source = _source(supplied.get(citation.message_id), citation.message_id, me)
        _tell(out, Text.assemble(label, source))


def _source(prior: ChatPrior | None, message_id: str, me: PublicKey) -> Text:
    if prior is None:
        return Text(f"message {one_line(message_id, 40)}", style="dim")
    author = pieces.person(prior.author, ChatState(me=me))
    return Text.assemble((f"{author}: ", "dim"), one_line(prior.content, EXCERPT_CHARS))
