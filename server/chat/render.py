"""A thread as rich renderables: messages, steps, what happens. Pure: it decides what is shown and how,
never when or where. What the verbs list is in `server.chat.listings`.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import assert_never

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from server.chat.events import CaughtUp, ClientEvent, Gone, Live, Offline, Online, Opened, Skipped
from server.chat.frames import (
    STORAGE_UNAVAILABLE,
    ChatCitation,
    ChatMention,
    ChatMessage,
    ChatPrior,
    ChatThread,
    Notice,
    RunCancelledEvent,
    RunEventUnion,
    RunFailedEvent,
    RunFinishedEvent,
    RunQueuedEvent,
    StepCompletedEvent,
    StepDeltaEvent,
    StepRecoveringEvent,
    StepStartedEvent,
    StepThinkingEvent,
    ThreadEvent,
    ThreadSettings,
)
from server.chat.listings import PRIOR_CHARS, PRIORS_SHOWN, prior_line, whoami
from server.chat.past import Moment
from server.chat.pieces import AnswerMarkdown, note, person, problem, waiting
from server.chat.runs import ChatRun, ChatStep, StepStatus
from server.chat.text import clean, one_line
from server.chat.view import ChatState, begins_to_wait

STEP_STYLES = {
    "action": "bright_cyan",
    "experience": "bright_magenta",
    "intention": "bright_yellow",
    "observation": "bright_blue",
    "update": "bright_green",
    "yield": "bright_white",
}
MESSAGES_SHOWN = 12
FOLDED_CHARS = 60
CUT = Text("  cut at the length limit", style="yellow")

_EVENT_SENTENCES = {
    "thread_created": "{by} started the thread.",
    "thread_renamed": "{by} named the thread “{thread}”.",
    "thread_archived": "{by} archived the thread; it can only be read now.",
    "co_author_invited": "{by} invited {who}.",
    "invitation_declined": "{who} declined the invitation.",
    "invitation_revoked": "The invitation of {who} was taken back.",
    "invitation_expired": "The invitation of {who} was not answered in time.",
    "invite_link_made": "{by} made an invite link.",
    "invite_link_revoked": "An invite link was taken back.",
    "invite_link_expired": "An invite link was not used in time.",
    "co_author_joined": "{who} is a co-author now.",
    "co_author_left": "{who} is no co-author any more.",
    "removal_proposed": "{by} proposes to remove {who}: /remove KEY agrees, /keep KEY does not; who "
    "is named by the only other co-author stays by doing anything here.",
    "removal_vote_cast": "{by} voted on whether {who} stays.",
    "removal_withdrawn": "The vote on {who} was taken back.",
    "removal_expired": "The vote on {who} ended without a decision.",
    "co_author_kept": "{who} stays a co-author.",
    "co_author_removed": "{who} was removed and is no co-author any more.",
    "vote_cast": "{by} voted on message #{index}.",
    "message_approved": "Message #{index} is approved.",
    "message_rejected": "{by} rejected message #{index}.",
    "message_expired": "Message #{index} was not approved in time.",
    "message_withdrawn": "{by} took back message #{index}.",
    "branch_forked": "{by} forked a run; /branches lists what forks grew.",
    "branch_ready": "A branch has its answer: /compare shows it beside its run, /adopt proposes it.",
    "branch_failed": "The run of a branch ended without an answer.",
    "branch_proposed": "{by} proposes a branch: /adopt agrees, /refuse does not.",
    "branch_vote_cast": "{by} voted on a branch.",
    "branch_adopted": "A branch was adopted; it stands in the thread as message #{index}.",
    "branch_rejected": "{by} refused a branch.",
    "branch_expired": "A branch ended without a decision.",
    "branch_discarded": "A branch was given up.",
    "message_superseded": "{by} wrote message #{index} anew; it and its answer count no more.",
}


def priors(found: Sequence[ChatPrior], state: ChatState) -> RenderableType:
    """Priors with their scores, best first as they came."""
    if not found:
        return note("Nothing was found.")
    lines = [prior_line(prior, state) for prior in found[:PRIORS_SHOWN]]
    if len(found) > PRIORS_SHOWN:
        lines.append(Text(f"  … and {len(found) - PRIORS_SHOWN} more", style="dim"))
    return Group(*lines)


def folded_step(event: StepCompletedEvent) -> Text:
    """A step in one line: which loop and attempt, what memory held, and how its text begins.

    A text that is the answer is shown by itself.
    """
    step = event.step or ""
    title = Text(f"{one_line(step, 20).capitalize():<12}", style=STEP_STYLES.get(step, "white"))
    if not gives_answer(event) and event.memory_available is not False:
        title.append(one_line(event.text, FOLDED_CHARS), style="dim")
    if event.iteration > 1:
        title.append(f" · loop {event.iteration}", style="dim")
    if event.attempt > 1:
        title.append(f" · attempt {event.attempt}", style="dim yellow")
    if event.memory_available is False:
        title.append("the memory could not be searched", style="yellow")
    elif event.priors:
        title.append(f" · {len(event.priors)} found", style="dim")
    if event.cut:
        title.append(" · cut at the length limit", style="yellow")
    title.rstrip()
    return title


def step_title(step: str, iteration: int, attempt: int) -> Text:
    """`Experience · loop 2 · attempt 3`; the attempt only where it is not the first."""
    title = Text(one_line(step, 20).capitalize(), style=f"bold {STEP_STYLES.get(step, 'white')}")
    title.append(f" · loop {iteration}", style="dim")
    if attempt > 1:
        title.append(f" · attempt {attempt}", style="dim yellow")
    return title


def thinking(step: ChatStep) -> str:
    """`thinking, 1,234 characters`: what the model thought aloud, folded; empty where it did not."""
    if not step.thinking:
        return ""
    is_thinking = step.status is StepStatus.RUNNING and not step.text
    return f"{'thinking' if is_thinking else 'thought'}, {len(step.thinking):,} characters"


def message(shown: ChatMessage, state: ChatState) -> RenderableType:
    """A message as it stands in the thread."""
    title = Text(f"{person(shown.author, state)} ", style="bold green" if shown.author else "bold")
    title.append(f"#{shown.index}", style="dim")
    if shown.status != "approved":
        title.append(f" {one_line(shown.status, 20)}", style="yellow")
    if shown.content is None:
        return Group(title, Padding(Text("not shown to you", style="dim italic"), (0, 0, 1, 2)))
    if shown.role == "chorus":
        return answer(shown, state)
    body = _with_mentions(shown.content, shown.mentions, state)
    parts: list[RenderableType] = [title, Padding(body, (0, 0, 1, 2))]
    if shown in state.to_vote_on:
        parts.append(Text(f"  /approve #{shown.index} or /reject #{shown.index} REASON", "yellow"))
    return Group(*parts)


def _with_mentions(content: str, mentions: Sequence[ChatMention], state: ChatState) -> Text:
    """A user's text, with the names in it that mention somebody; one's own stands out most."""
    own = {each.start for each in mentions if each.public_key == state.me}
    text = Text()
    at = 0
    for each in mentions:
        if each.start < at:
            continue  # another co-author of the same name
        text.append(clean(content[at : each.start]))
        style = "bold reverse" if each.start in own else "bold"
        text.append(clean(content[each.start : each.end]), style)
        at = each.end
    return text.append(clean(content[at:]))


def answer(shown: ChatMessage, state: ChatState) -> RenderableType:
    """The final answer: Markdown, and under it what its labels cite."""
    body = AnswerMarkdown(clean(shown.content or ""))
    title = Text(f"Chorus #{shown.index}", style="bold bright_white")
    if shown.status != "approved":
        title.append(f" {one_line(shown.status, 20)}", style="yellow")
    cut = [CUT] if shown.cut else []
    return Group(title, Padding(body, (0, 2)), *cut, *citations(shown.citations, state), Text())


def citations(cited: Iterable[ChatCitation], state: ChatState) -> Iterable[Text]:
    """One line for each citation; messages of this thread by their number and beginning."""
    for citation in cited:
        line = Text(f"  [{one_line(citation.label, 20)}] ", style="cyan")
        source = state.message(citation.message_id)
        if source is None:
            line.append("a message of another thread; /search finds it", style="dim")
        else:
            line.append(f"#{source.index} {person(source.author, state)}: ", style="dim")
            line.append(one_line(source.content or "", PRIOR_CHARS), style="dim")
        yield line


def thread_header(thread: ChatThread, state: ChatState) -> RenderableType:
    authors = ", ".join(person(key, state) for key in thread.co_authors)
    subtitle = Text(f"{one_line(thread.visibility, 20)} · {authors}", style="dim")
    if thread.status != "active":
        subtitle.append(f" · {one_line(thread.status, 20)}", style="yellow")
    return Group(Rule(Text(one_line(thread.name, 80), style="bold"), style="dim"), subtitle, Text())


def opened(state: ChatState) -> RenderableType:
    """The open thread: its head, its last messages, and what is under way."""
    if state.thread is None:
        return note("No thread is open.")
    shown = [message(each, state) for each in state.messages[-MESSAGES_SHOWN:]]
    hidden = max(state.thread.message_count, len(state.messages)) - len(shown)
    earlier = [note(f"{hidden} earlier messages")] if hidden > 0 else []
    under_way = [note(_under_way(run)) for run in state.live_runs]
    return Group(thread_header(state.thread, state), *earlier, *shown, *under_way)


def as_it_was(moment: Moment) -> RenderableType:
    """A thread as it was, marked as such."""
    when = f", {moment.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    place = f"As it was after entry {moment.seq} of {moment.head_seq}{when}"
    mark = Text(f"⏪ {place}. Only read; /now goes back.", style="yellow")
    return Group(mark, opened(moment.state), mark)


def _under_way(run: ChatRun) -> str:
    step = run.current
    return "A run waits." if step is None else f"A run is at {one_line(step.step, 20)}."


def scrollback(before: ChatState, event: ClientEvent, after: ChatState) -> list[RenderableType]:
    """What an event leaves on the screen for good; passing text leaves nothing."""
    match event:
        case Online(resumed=False, invitations=invited):
            asked = (
                f"Invitations that wait for your answer: {len(invited)}; /invitations shows them."
            )
            return [whoami(after), *([note(asked)] if invited else []), Text()]
        case Online():
            return [note("Back online.")]
        case Offline(reason=reason):
            told = isinstance(before.link, Offline)
            return [] if told else [note(f"Connection lost ({reason}); dialling again.")]
        case Opened(snapshot):
            shown = [message(each, after) for each in snapshot.messages[-MESSAGES_SHOWN:]]
            hidden = snapshot.thread.message_count - len(shown)
            earlier = [note(f"{hidden} earlier messages")] if hidden > 0 else []
            return [thread_header(snapshot.thread, after), *earlier, *shown]
        case Live(body=ThreadEvent() as happened):
            return _thread_event(happened, after if after.thread else before)
        case Live(body=body):
            assert not isinstance(body, ThreadEvent), "the case above"  # noqa: S101
            return _run_event(body, before, after)
        case Gone(reason=reason):
            return [problem(f"The thread is closed: {reason}")]
        case Notice(kind=kind) if kind == STORAGE_UNAVAILABLE:
            why = begins_to_wait(before, after)
            return [] if why is None else [note(waiting(why))]
        case Notice(kind="read" | "hidden"):
            return []
        case Notice(kind="invited"):
            return [note("You are invited into a thread; /invitations shows by whom.")]
        case Notice(kind="invitation_ended"):
            return [note("An invitation of yours has ended.")]
        case Notice(kind="thread_created"):
            return []  # one's own doing, here or at another connection
        case Notice(thread_id=thread_id):
            name = after.thread_names.get(thread_id)
            where = f"“{one_line(name, 60)}”" if name else "another thread of yours"
            return [note(f"Something new in {where}; /threads lists them.")]
        case Skipped(what):
            return [note(f"Not understood: {what}")]
        case CaughtUp():
            return []
        case _:
            assert_never(event)


def _run_event(event: RunEventUnion, before: ChatState, after: ChatState) -> list[RenderableType]:
    match event:
        case RunQueuedEvent():
            return [note("Queued behind the run under way.")] if before.running else []
        case StepCompletedEvent():
            if gives_answer(event) and event.priors is None:
                return []
            return [_completed(event, after)]
        case StepRecoveringEvent():
            text = f"  ↻ {one_line(event.code, 40)}: again in {event.retry_in_ms / 1000:.1f} s"
            title = step_title(event.step or "", event.iteration, event.attempt)
            return [Text.assemble(title, Text(text, style="yellow"))]
        case RunFinishedEvent():
            return [answer(event.message, after)]
        case RunFailedEvent():
            return [
                problem(f"The run failed ({event.code}): {event.message}"),
                note("/retry tries again."),
            ]
        case RunCancelledEvent():
            return [note(f"{person(event.by, after)} stopped the run.")]
        case StepStartedEvent() | StepDeltaEvent() | StepThinkingEvent():
            return []
        case _:
            assert_never(event)


def gives_answer(event: StepCompletedEvent) -> bool:
    """Whether the step's text is the answer, which follows as a message."""
    return event.step == "yield" or event.output.enough


def _completed(event: StepCompletedEvent, state: ChatState) -> RenderableType:
    output = event.output
    title = step_title(event.step or "", event.iteration, event.attempt)
    run = state.run(event.run_id)
    key = (event.step or "", event.iteration, event.attempt)
    step = next((each for each in run.steps if each.key == key), None) if run else None
    if step is not None and (thought := thinking(step)):
        title.append(f" · {thought}", style="dim")
    parts: list[RenderableType] = [title]
    if event.memory_available is False:
        parts.append(Text("  the memory could not be searched", "yellow"))
    if event.priors:
        parts.append(priors(event.priors, state))
    elif event.priors is not None and event.memory_available is not False:
        parts.append(Text("  no priors", "dim"))
    if event.text and not gives_answer(event):
        parts.append(Padding(Text(clean(event.text)), (0, 2)))
    if event.cut and not gives_answer(event):
        parts.append(CUT)
    parts.extend(
        Text(f"  • {one_line(item)}", style="dim")
        for item in (*output.key_insights, *output.patterns)
    )
    if output.confidence:
        parts.append(Text(f"  confidence {output.confidence:.2f}", style="dim"))
    if output.loop:
        parts.append(Text(f"  ↺ loops again: {one_line(output.next_query or '')}", style="yellow"))
    return Group(*parts, Text())


def _configured(by: str, before: ThreadSettings, after: ChatThread) -> RenderableType:
    """What a co-author changed of a thread's settings."""
    done = []
    if before.instructions != after.instructions:
        done.append(
            "changed the instructions" if after.instructions else "took the instructions back"
        )
    if before.model != after.model:
        done.append(f"chose the model {after.model}" if after.model else "chose the server's model")
    return note(f"{by} {' and '.join(done) or 'left the settings as they are'}.")


def _thread_event(event: ThreadEvent, state: ChatState) -> list[RenderableType]:
    if event.before is not None and event.thread is not None:
        return [_configured(person(event.by, state), event.before, event.thread)]
    if event.kind == "message_superseded" and event.message and event.message.role == "chorus":
        return []  # said with its prompt
    if event.kind == "message_submitted":
        return [] if event.message is None else [message(event.message, state)]
    about = event.message or (state.message(event.message_id) if event.message_id else None)
    template = _EVENT_SENTENCES.get(event.kind)
    if template is None:
        return []
    subject = event.invitation or event.removal
    about_whom = subject.public_key if subject else None
    sentence = template.format(
        by=person(event.by, state),
        who=person(event.public_key or about_whom or event.by, state),
        thread=state.thread.name if state.thread else "",
        index="?" if about is None else about.index,
    )
    reasons = [
        vote.reason
        for vote in (about.approvals if about else ())
        if event.kind == "message_rejected" and vote.decision.startswith("reject") and vote.reason
    ]
    return [note(" ".join([sentence, *reasons]))]
