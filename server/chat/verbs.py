"""What a person may type: prompts and slash commands. Pure parsing; nothing is carried out here."""

from dataclasses import dataclass
from enum import Enum, StrEnum

from server.chat.errors import BadInput


class Takes(Enum):
    """Whether a verb is followed by something."""

    NOTHING = "nothing"
    MAYBE = "maybe"
    SOMETHING = "something"


class Verb(StrEnum):
    SAY = "say"
    HELP = "help"
    THREADS = "threads"
    PUBLIC = "public"
    INBOX = "inbox"
    OPEN = "open"
    CLOSE = "close"
    NEW = "new"
    RENAME = "rename"
    INSTRUCTIONS = "instructions"
    MODEL = "model"
    INVITE = "invite"
    REVOKE = "revoke"
    LINK = "link"
    LINKS = "links"
    INVITATIONS = "invitations"
    ACCEPT = "accept"
    DECLINE = "decline"
    APPROVE = "approve"
    REJECT = "reject"
    WITHDRAW = "withdraw"
    STOP = "stop"
    RETRY = "retry"
    EDIT = "edit"
    FORK = "fork"
    BRANCHES = "branches"
    COMPARE = "compare"
    ADOPT = "adopt"
    REFUSE = "refuse"
    DISCARD = "discard"
    WHY = "why"
    AT = "at"
    NOW = "now"
    SEARCH = "search"
    NAME = "name"
    WHOAMI = "whoami"
    REMOVE = "remove"
    KEEP = "keep"
    LEAVE = "leave"
    ARCHIVE = "archive"
    QUIT = "quit"


@dataclass(frozen=True)
class VerbUsage:
    takes: Takes
    argument: str
    """As the help shows it."""
    meaning: str


USAGE: dict[Verb, VerbUsage] = {
    Verb.HELP: VerbUsage(Takes.NOTHING, "", "this list"),
    Verb.THREADS: VerbUsage(Takes.NOTHING, "", "your threads"),
    Verb.PUBLIC: VerbUsage(Takes.NOTHING, "", "threads that anyone may read"),
    Verb.INBOX: VerbUsage(Takes.NOTHING, "", "what waits for you, and where you are mentioned"),
    Verb.OPEN: VerbUsage(
        Takes.SOMETHING,
        "N|NAME",
        "open a thread, or what a search or the inbox found, of the last list",
    ),
    Verb.CLOSE: VerbUsage(Takes.NOTHING, "", "stop following the thread"),
    Verb.NEW: VerbUsage(Takes.SOMETHING, "NAME [public]", "start a thread and open it"),
    Verb.RENAME: VerbUsage(Takes.SOMETHING, "NAME", "rename the thread"),
    Verb.INSTRUCTIONS: VerbUsage(
        Takes.MAYBE, "[TEXT|none]", "what every answer is to keep to; shows it without TEXT"
    ),
    Verb.MODEL: VerbUsage(
        Takes.MAYBE, "[NAME|default]", "the model of the thread; lists them without NAME"
    ),
    Verb.INVITE: VerbUsage(Takes.SOMETHING, "KEY", "ask a person in; they join if they accept"),
    Verb.LINK: VerbUsage(Takes.MAYBE, "[HOURS]", "make a link that lets one person in"),
    Verb.LINKS: VerbUsage(Takes.NOTHING, "", "the links into the thread that nobody has used"),
    Verb.REVOKE: VerbUsage(Takes.SOMETHING, "KEY or N", "take an invitation, or a link, back"),
    Verb.INVITATIONS: VerbUsage(Takes.NOTHING, "", "the threads that you are invited into"),
    Verb.ACCEPT: VerbUsage(
        Takes.MAYBE, "[N or URL]", "join one, the only one by default, or by a link"
    ),
    Verb.DECLINE: VerbUsage(Takes.MAYBE, "[N]", "stay outside of one"),
    Verb.APPROVE: VerbUsage(
        Takes.MAYBE, "[#N]", "approve a waiting message, the oldest by default"
    ),
    Verb.REJECT: VerbUsage(Takes.MAYBE, "[#N] [REASON]", "reject one"),
    Verb.WITHDRAW: VerbUsage(Takes.MAYBE, "[#N]", "take back a waiting message of your own"),
    Verb.STOP: VerbUsage(Takes.NOTHING, "", "cancel the run under way"),
    Verb.RETRY: VerbUsage(Takes.NOTHING, "", "run the last failed or cancelled prompt again"),
    Verb.EDIT: VerbUsage(Takes.SOMETHING, "TEXT", "write your last prompt anew; its run stops"),
    Verb.FORK: VerbUsage(
        Takes.SOMETHING,
        "[#N | branch N] STEP text|prompt|model|instructions NEW",
        "let a run go on in another way behind one of its steps (update.2 is that of loop 2)",
    ),
    Verb.BRANCHES: VerbUsage(Takes.NOTHING, "", "the branches that forks grew"),
    Verb.COMPARE: VerbUsage(Takes.MAYBE, "[N]", "one beside the run that it left"),
    Verb.ADOPT: VerbUsage(
        Takes.MAYBE, "[N]", "propose that it stands in the thread, or agree to that"
    ),
    Verb.REFUSE: VerbUsage(Takes.MAYBE, "[N]", "vote against one"),
    Verb.DISCARD: VerbUsage(Takes.MAYBE, "[N]", "give one of your own up"),
    Verb.WHY: VerbUsage(
        Takes.MAYBE,
        "[#N|ID]",
        "why a run, a message or a vote came out so; the newest run by default",
    ),
    Verb.AT: VerbUsage(
        Takes.SOMETHING, "SEQ|TIME", "the thread as it was after an entry, or at a time"
    ),
    Verb.NOW: VerbUsage(Takes.NOTHING, "", "back to now; an empty line does too"),
    Verb.SEARCH: VerbUsage(Takes.SOMETHING, "WORDS", "search what you may read"),
    Verb.NAME: VerbUsage(Takes.SOMETHING, "NAME", "choose the name that others see"),
    Verb.WHOAMI: VerbUsage(Takes.NOTHING, "", "your key and name, the model, the thread"),
    Verb.REMOVE: VerbUsage(
        Takes.SOMETHING, "KEY", "let a co-author go, which all the others must agree to"
    ),
    Verb.KEEP: VerbUsage(
        Takes.SOMETHING, "KEY", "vote to keep one, or take your own proposal back"
    ),
    Verb.LEAVE: VerbUsage(Takes.MAYBE, "yes", "stop being a co-author of the thread, for good"),
    Verb.ARCHIVE: VerbUsage(Takes.MAYBE, "yes", "end the thread for everyone; it stays readable"),
    Verb.QUIT: VerbUsage(Takes.NOTHING, "", "leave (Ctrl-D does too)"),
}
"""Every slash command, in the order of the help."""


@dataclass(frozen=True)
class Command:
    verb: Verb
    argument: str = ""


def parse(line: str) -> Command | None:
    """What `line` asks for; None where it is blank. Raises BadInput.

    A line that begins with `//` is a prompt that begins with `/`.
    """
    text = line.encode("utf-8", "replace").decode().strip()
    if not text:
        return None
    if text.startswith("//"):
        return Command(Verb.SAY, text[1:])
    if not text.startswith("/"):
        return Command(Verb.SAY, text)
    word, _, rest = text[1:].partition(" ")
    verb = next((verb for verb in USAGE if verb == word.lower()), None)
    if verb is None:
        raise BadInput(f"There is no /{word}; /help lists what there is.")
    argument, usage = rest.strip(), USAGE[verb]
    if usage.takes is Takes.NOTHING and argument:
        raise BadInput(f"/{verb} takes nothing after it.")
    if usage.takes is Takes.SOMETHING and not argument:
        raise BadInput(f"Usage: /{verb} {usage.argument}")
    return Command(verb, argument)


def secret_of(argument: str) -> str | None:
    """The secret of an invite link's address; None where it is no such address."""
    _, mark, secret = argument.partition("#join=")
    return secret if mark else None


def split_index(argument: str) -> tuple[int | None, str]:
    """The message number of a leading `#N`, if there is one, and the rest."""
    first, _, rest = argument.partition(" ")
    digits = first.removeprefix("#")
    if first.startswith("#") and digits.isascii() and digits.isdigit():
        return int(digits), rest.strip()
    return None, argument


def split_visibility(argument: str) -> tuple[str, str]:
    """Name and visibility of `NAME [public]`."""
    name, _, last = argument.rpartition(" ")
    if name and last.lower() in {"public", "private"}:
        return name.strip(), last.lower()
    return argument, "private"
