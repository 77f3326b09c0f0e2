"""What a verb of the terminal client lists, as rich renderables. Pure."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from server.chat.frames import (
    ChatInboxItem,
    ChatInvitation,
    ChatPrior,
    ChatThread,
    ChatThreadSummary,
    LinkReply,
    MadeLink,
    OpenLink,
)
from server.chat.pieces import note, person
from server.chat.text import clean, one_line
from server.chat.verbs import USAGE
from server.chat.view import ChatState

PRIORS_SHOWN = 8
PRIOR_CHARS = 90


def usage() -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    for verb, use in USAGE.items():
        grid.add_row(Text(f"/{verb} {use.argument}".rstrip(), style="cyan"), use.meaning)
    closing = "Anything else is a prompt; //… is a prompt that begins with a slash."
    return Group(grid, Text(closing, style="dim"))


def whoami(state: ChatState) -> RenderableType:
    thread = "none" if state.thread is None else state.thread.name
    model = (
        f"{state.model} (no language model is connected)" if state.offline_model else state.model
    )
    grid = Table.grid(padding=(0, 2))
    for label, value in (
        ("key", state.me),
        ("name", state.my_name or "none; /name chooses one"),
        ("model", model),
        ("thread", thread),
    ):
        grid.add_row(Text(label, style="dim"), Text(one_line(value)))
    return grid


def instructions(thread: ChatThread) -> RenderableType:
    """What the answers of a thread are asked to keep to."""
    if not thread.instructions:
        return note("This thread has no instructions; /instructions TEXT gives it some.")
    return Padding(Text(clean(thread.instructions)), (0, 2))


def models(state: ChatState) -> RenderableType:
    """The models that a thread may have, the one that the open thread has marked."""
    if not state.models:
        return note("No language model is connected, so there is none to choose.")
    chosen = state.thread.model if state.thread else None
    grid = Table.grid(padding=(0, 2))
    for number, name in enumerate(state.models):
        answers = name == (chosen or state.models[0])
        grid.add_row(
            Text("•" if answers else "", style="cyan"),
            Text(one_line(name, 100)),
            Text("the server's own" if number == 0 else "", style="dim"),
        )
    if chosen is not None and chosen not in state.models:
        gone = f"{one_line(chosen, 100)} was chosen, and is not offered any more."
        return Group(grid, note(gone))
    return grid


def threads(listed: Sequence[ChatThreadSummary], scope: str) -> RenderableType:
    if not listed:
        return note(
            "There is no public thread."
            if scope == "public"
            else "No threads yet; /new NAME starts one."
        )
    grid = Table.grid(padding=(0, 2))
    for number, thread in enumerate(listed, start=1):
        marks = [thread.visibility] + ([thread.status] if thread.status != "active" else [])
        grid.add_row(
            Text(f"{number}", style="cyan"),
            Text(one_line(thread.name, 60), style="bold"),
            Text(", ".join(one_line(mark, 20) for mark in marks)),
            Text(f"{thread.message_count} messages", style="dim"),
        )
    return Group(grid, Text("/open N opens one.", style="dim"))


def invitations(listed: Sequence[ChatInvitation], state: ChatState) -> RenderableType:
    """The threads that one is invited into, numbered, each with who invites."""
    if not listed:
        return note("You are invited into no thread.")
    grid = Table.grid(padding=(0, 2))
    for number, each in enumerate(listed, start=1):
        name = one_line(each.invited_by_name, 40) if each.invited_by_name else None
        grid.add_row(
            Text(f"{number}", style="cyan"),
            Text(one_line(each.thread_name, 60), style="bold"),
            Text(f"from {name or person(each.invited_by, state)}"),
            Text(one_line(each.invited_by, 80), style="dim"),
        )
    return Group(grid, Text("/accept N joins one, /decline N does not.", style="dim"))


def inbox(listed: Sequence[ChatInboxItem], state: ChatState) -> RenderableType:
    """What waits for one's answer, and where one is mentioned, numbered: `/open N` goes there."""
    if not listed:
        return note("Nothing waits for you.")
    grid = Table.grid(padding=(0, 2))
    for number, each in enumerate(listed, start=1):
        waits = each.kind != "mention" or each.unread
        grid.add_row(
            Text(f"{number}", style="cyan"),
            Text(_inbox_words(each, state), style="bold" if waits else ""),
            Text(one_line(each.thread_name, 60)),
            Text(one_line(each.excerpt or "", PRIOR_CHARS), style="dim"),
        )
    return Group(grid, Text("/open N goes there; /accept answers an invitation.", style="dim"))


def _inbox_words(item: ChatInboxItem, state: ChatState) -> str:
    who = one_line(item.by_name, 40) if item.by_name else person(item.by, state)
    match item.kind:
        case "vote":
            return f"{who} asks for approval"
        case "removal":
            named = one_line(item.name, 40) if item.name else person(item.public_key, state)
            return f"{who} proposes to remove {named}"
        case "branch":
            return f"{who} proposes another answer"
        case "invitation":
            return f"{who} invites you"
        case "mention":
            return f"{who} mentions you"
        case _:
            return one_line(item.kind, 40)


def made_link(page_url: str, link: MadeLink) -> RenderableType:
    """The address of a link that was made, which is shown this once."""
    until = link.expires_at[:16].replace("T", " ")
    return Group(
        Text(f"{page_url}#join={one_line(link.secret, 256)}", style="bold", overflow="fold"),
        Text(
            f"It lets one person in, until {one_line(until, 16)} UTC; it is shown this once.",
            style="dim",
        ),
    )


def links(listed: Sequence[OpenLink], state: ChatState) -> RenderableType:
    """Open links into the thread, numbered, each with who made it."""
    if not listed:
        return note("No link into this thread is open.")
    grid = Table.grid(padding=(0, 2))
    for number, each in enumerate(listed, start=1):
        until = one_line(each.expires_at[:16].replace("T", " "), 16)
        grid.add_row(
            Text(f"{number}", style="cyan"),
            Text(f"made by {person(each.made_by, state)}"),
            Text(f"until {until} UTC", style="dim"),
        )
    return Group(grid, Text("/revoke N takes one back.", style="dim"))


def link_leads_to(link: LinkReply, state: ChatState) -> RenderableType:
    """Who invites by a link, and into what."""
    name = one_line(link.invited_by_name, 40) if link.invited_by_name else None
    who = name or person(link.invited_by, state)
    return note(f"{who} invites you into {one_line(link.thread_name, 60)}.")


def results(found: Sequence[ChatPrior], state: ChatState) -> RenderableType:
    """What a search found, numbered: `/open N` goes there."""
    if not found:
        return note("Nothing was found.")
    lines = [
        Text.assemble((f"{number:3}", "cyan"), prior_line(prior, state))
        for number, prior in enumerate(found[:PRIORS_SHOWN], start=1)
    ]
    return Group(*lines, Text("/open N opens the thread of one.", style="dim"))


def prior_line(prior: ChatPrior, state: ChatState) -> Text:
    line = Text("  ")
    line.append(f"{prior.score:5.2f} " if prior.score > 0 else " " * 6, style="cyan")
    line.append(f"{person(prior.author, state)}: ", style="bold dim")
    line.append(one_line(prior.content, PRIOR_CHARS), style="dim")
    return line
