"""The server in a hundred lines: what the server must answer, and what its threads must hold then.

A model of the rules in docs/protocol.md that knows no journal, no chart and no clock but "the
deadline passed".
`Model.answer(...)` says what a request must get; `Model.carry_out(...)` does what the request does.
Runs are outside of it, except that some requests begin one.
"""

from dataclasses import dataclass, field
from typing import Final

MOST_BRANCHES: Final = 16
MOST_VOTED_ON: Final = 2
"""Of the branches of a thread."""

EVENTS_OF_MESSAGES: Final = frozenset(
    {
        "message_submitted",
        "vote_cast",
        "message_approved",
        "message_rejected",
        "message_expired",
        "message_withdrawn",
    }
)


MOST_REMOVALS: Final = 2
"""That are open in a thread."""


@dataclass
class Message:
    """A prompt in a thread."""

    id: str
    author: str
    content: str
    status: str
    electors: list[str] = field(default_factory=list)
    approved_by: set[str] = field(default_factory=set)
    after: int = 0
    """How many events there were in the thread when it came: deadlines pass in this order."""


@dataclass
class Removal:
    """A proposal that a co-author be one no more."""

    proposed_by: str
    electors: list[str]
    agreed: set[str]
    after: int
    """As a message's."""

    @property
    def is_ones_own(self) -> bool:
        """Whether the proposer decides alone, so that the named one has only to appear."""
        return len(self.electors) == 1


@dataclass
class Branch:
    """What a fork came to, which nobody else reads before it is adopted."""

    id: str
    text: str
    """Its answer."""
    made_by: str
    status: str = "growing"
    """The server says when it is `ready`: its run waits for the runs before it."""
    electors: list[str] = field(default_factory=list)
    agreed: set[str] = field(default_factory=set)


@dataclass
class Thread:
    """A thread; people are their public keys."""

    id: str
    name: str
    public: bool
    co_authors: list[str]
    archived: bool = False
    invitations: dict[str, str] = field(default_factory=dict)
    """Who is invited, and by whom."""
    removals: dict[str, Removal] = field(default_factory=dict)
    """Those that are open, by who is named."""
    branches: dict[str, Branch] = field(default_factory=dict)
    """Those that are open."""
    ended: dict[str, set[str]] = field(default_factory=dict)
    """By branch that is not, the events that may have ended it."""
    adopted: list[Branch] = field(default_factory=list)
    """In the order of their adoption."""
    messages: dict[str, Message] = field(default_factory=dict)
    runs: set[str] = field(default_factory=set)
    """Ids of the runs that were promised; the server says them in `accepted`, or live."""
    kinds: list[str] = field(default_factory=lambda: ["thread_created"])
    """The `thread_event`s that must be in the journal, in order; but for those of branches."""
    runs_begun: int = 0

    def may_read(self, person: str) -> bool:
        """Whether they may know of it."""
        return self.public or person in self.co_authors

    @property
    def pending(self) -> list[Message]:
        """What waits for approval."""
        return [each for each in self.messages.values() if each.status == "pending"]


@dataclass(frozen=True)
class Request:
    """A request about a thread; `target` is a message, a branch, a name, a key, or the text of a prompt or
    of a fork's changed step."""

    type: str
    thread_id: str
    target: str = ""
    decision: str = ""
    """`remove` or `keep`; on a branch, `approve` or `reject`."""


class Model:
    """All threads."""

    def __init__(self) -> None:
        self.threads: dict[str, Thread] = {}

    def answer(self, person: str, request: Request) -> str:
        """What the server must answer: a reply's type, or an error's code."""
        thread = self.threads.get(request.thread_id)
        if request.type in {"accept_invitation", "decline_invitation"}:
            return "accepted" if thread and person in thread.invitations else "not_found"
        if thread is None or not thread.may_read(person):
            return "not_found"
        insider = person in thread.co_authors
        match request.type:
            case "submit_prompt":
                return "invalid_transition" if thread.archived else "accepted"
            case "get_thread":
                return "thread_messages"
            case "get_events":
                return "events"
            case "withdraw_message":
                message = thread.messages.get(request.target)
                if message is None:
                    return "not_found"
                own = message.author == person and message.status == "pending"
                return "accepted" if own else "invalid_transition"
        if not insider:
            return "forbidden"
        match request.type:
            case "approve_message" | "reject_message":
                return self._answer_to_vote(thread, person, request.target)
            case "invite_co_author":
                known = request.target in (*thread.co_authors, *thread.invitations)
                refused = thread.archived or known
            case "revoke_invitation":
                return "accepted" if request.target in thread.invitations else "not_found"
            case "propose_removal":
                if not thread.archived and len(thread.removals) >= MOST_REMOVALS:
                    return "rate_limited"
                others = set(thread.co_authors) - {person, *thread.removals}
                refused = thread.archived or request.target not in others
            case "vote_on_removal" | "withdraw_removal":
                return self._answer_about_removal(thread, person, request)
            case "fork_run":
                if not thread.archived and len(thread.branches) >= MOST_BRANCHES:
                    return "rate_limited"
                refused = thread.archived
            case "propose_adoption" | "vote_on_branch" | "discard_branch":
                return self._answer_about_branch(thread, person, request)
            case "leave_co_authorship":
                refused = thread.archived or len(thread.co_authors) == 1
            case "rename_thread" | "archive_thread":
                refused = thread.archived
            case _:
                raise AssertionError(f"the model knows no {request.type}")
        return "invalid_transition" if refused else "accepted"

    def carry_out(self, person: str, request: Request, named: str | None = None) -> None:
        """Do what an accepted request does; `named` is what the server named a new message or branch."""
        thread = self.threads[request.thread_id]
        self._see(thread, person, request)
        match request.type:
            case "submit_prompt":
                assert named is not None
                self._submit(thread, person, named, request.target)
            case "fork_run":
                assert named is not None
                thread.branches[named] = Branch(named, request.target, person)
                thread.runs_begun += 1
            case "propose_adoption":
                branch = thread.branches[request.target]
                branch.status = "proposed"
                branch.electors, branch.agreed = list(thread.co_authors), {person}
                self._judge(thread, branch)
            case "vote_on_branch" if request.decision == "reject":
                self._end_branch(thread, request.target, "branch_rejected")
            case "vote_on_branch":
                branch = thread.branches[request.target]
                branch.agreed.add(person)
                self._judge(thread, branch)
            case "discard_branch":
                self._end_branch(thread, request.target, "branch_discarded")
            case "approve_message":
                message = thread.messages[request.target]
                message.approved_by.add(person)
                thread.kinds.append("vote_cast")
                self._look_again(thread, message)
            case "reject_message":
                thread.messages[request.target].status = "rejected"
                thread.kinds += ["vote_cast", "message_rejected"]
            case "withdraw_message":
                thread.messages[request.target].status = "withdrawn"
                thread.kinds.append("message_withdrawn")
            case "invite_co_author":
                thread.invitations[request.target] = person
                thread.kinds.append("co_author_invited")
            case "accept_invitation":
                del thread.invitations[person]
                thread.co_authors.append(person)
                thread.kinds.append("co_author_joined")
            case "decline_invitation":
                del thread.invitations[person]
                thread.kinds.append("invitation_declined")
            case "revoke_invitation":
                del thread.invitations[request.target]
                thread.kinds.append("invitation_revoked")
            case "propose_removal":
                electors = [each for each in thread.co_authors if each != request.target]
                thread.removals[request.target] = Removal(
                    person, electors, {person}, len(thread.kinds)
                )
                thread.kinds.append("removal_proposed")
            case "vote_on_removal":
                self._vote_on_removal(thread, person, request)
            case "withdraw_removal":
                del thread.removals[request.target]
                thread.kinds.append("removal_withdrawn")
            case "leave_co_authorship":
                self._leave(thread, person, "co_author_left")
            case "rename_thread":
                thread.name = request.target
                thread.kinds.append("thread_renamed")
            case "archive_thread":
                for message in thread.pending:
                    self._expire(thread, message)
                thread.kinds += ["invitation_expired"] * len(thread.invitations)
                thread.invitations.clear()
                thread.kinds += ["removal_expired"] * len(thread.removals)
                thread.removals.clear()
                for branch_id in tuple(thread.branches):
                    # The run of one that grows is cancelled by it.
                    self._end_branch(thread, branch_id, "branch_expired", "branch_failed")
                thread.archived = True
                thread.kinds.append("thread_archived")

    def open_thread(self, thread_id: str, person: str, *, name: str, public: bool) -> None:
        """Somebody's new thread."""
        self.threads[thread_id] = Thread(thread_id, name, public, [person])

    def let_deadlines_pass(self) -> None:
        """More than the days of approval went by, and less than those of invitations."""
        for thread in self.threads.values():
            for branch in tuple(thread.branches.values()):
                if branch.status == "proposed":
                    self._end_branch(thread, branch.id, "branch_expired")
                elif branch.status == "ready":
                    # Its maker may be removed at the same deadline.
                    self._end_branch(thread, branch.id, "branch_expired", "branch_discarded")
            waiting: list[tuple[int, Message | str]] = [
                *((message.after, message) for message in thread.pending),
                *((removal.after, named) for named, removal in thread.removals.items()),
            ]
            for _, each in sorted(waiting, key=lambda pair: pair[0]):
                if isinstance(each, Message):
                    if each.status == "pending":
                        self._expire(thread, each)
                elif each in thread.removals:
                    self._end_removal(thread, each)

    def _answer_to_vote(self, thread: Thread, person: str, message_id: str) -> str:
        message = thread.messages.get(message_id)
        if message is None:
            return "not_found"
        may_vote = (
            message.status == "pending"
            and person in message.electors
            and person not in message.approved_by
        )
        return "accepted" if may_vote else "invalid_transition"

    def _answer_about_removal(self, thread: Thread, person: str, request: Request) -> str:
        removal = thread.removals.get(request.target)
        if removal is None:
            return "not_found"
        if request.type == "withdraw_removal":
            may = removal.proposed_by == person
        elif request.target == person:
            may = removal.is_ones_own and request.decision == "keep"
        else:
            may = person in removal.electors and person not in removal.agreed
        return "accepted" if may else "invalid_transition"

    def _answer_about_branch(self, thread: Thread, person: str, request: Request) -> str:
        branch = thread.branches.get(request.target)
        if branch is None:
            return "not_found"
        match request.type:
            case "discard_branch":
                may = branch.made_by == person
            case "vote_on_branch":
                may = person in branch.electors and person not in branch.agreed
            case _:
                voted_on = sum(each.status == "proposed" for each in thread.branches.values())
                may = branch.status == "ready"
                if may and voted_on >= MOST_VOTED_ON:
                    return "rate_limited"
        return "accepted" if may else "invalid_transition"

    def _judge(self, thread: Thread, branch: Branch) -> None:
        """Adopted when every elector agreed, in place of the answer before; given up where none is left."""
        if not branch.electors:
            self._end_branch(thread, branch.id, "branch_discarded")
        elif set(branch.electors) <= branch.agreed:
            self._end_branch(thread, branch.id, "branch_adopted")
            thread.adopted.append(branch)
            thread.kinds.append("message_superseded")

    @staticmethod
    def _end_branch(thread: Thread, branch_id: str, *kinds: str) -> None:
        del thread.branches[branch_id]
        thread.ended[branch_id] = set(kinds)

    def _leaves_branches(self, thread: Thread, gone: str) -> None:
        for branch in tuple(thread.branches.values()):
            if gone in branch.electors:
                branch.electors.remove(gone)
                branch.agreed.discard(gone)
                self._judge(thread, branch)
            elif branch.status != "proposed" and branch.made_by == gone:
                self._end_branch(thread, branch.id, "branch_discarded")

    def _see(self, thread: Thread, person: str, request: Request) -> None:
        """Who does something in a thread is not removed from it by one other."""
        removal = thread.removals.get(person)
        is_about_it = request.type == "vote_on_removal" and request.target == person
        if (
            removal is not None
            and removal.is_ones_own
            and request.type != "leave_co_authorship"
            and not is_about_it
        ):
            del thread.removals[person]
            thread.kinds.append("co_author_kept")

    def _vote_on_removal(self, thread: Thread, person: str, request: Request) -> None:
        removal = thread.removals[request.target]
        if request.target != person:
            thread.kinds.append("removal_vote_cast")
        if request.decision == "keep":
            del thread.removals[request.target]
            thread.kinds.append("co_author_kept")
            return
        removal.agreed.add(person)
        if set(removal.electors) <= removal.agreed:
            del thread.removals[request.target]
            self._leave(thread, request.target, "co_author_removed")

    def _end_removal(self, thread: Thread, named: str) -> None:
        """The deadline of a removal passed."""
        removal = thread.removals.pop(named)
        if removal.is_ones_own:
            self._leave(thread, named, "co_author_removed", late=True)
        else:
            thread.kinds.append("removal_expired")

    def _submit(self, thread: Thread, person: str, message_id: str, content: str) -> None:
        thread.kinds.append("message_submitted")
        insider = person in thread.co_authors
        status = "approved" if insider else "pending"
        electors = [] if insider else list(thread.co_authors)
        thread.messages[message_id] = Message(
            message_id, person, content, status, electors, after=len(thread.kinds)
        )
        thread.runs_begun += insider

    def _leave(self, thread: Thread, person: str, kind: str, *, late: bool = False) -> None:
        """A co-author goes; `late` is after the deadlines of all that waits."""
        thread.co_authors.remove(person)
        thread.kinds.append(kind)
        for message in thread.pending:
            if person in message.electors:
                message.electors.remove(person)
                message.approved_by.discard(person)
                if late:
                    self._expire(thread, message)
                else:
                    self._look_again(thread, message)
        for key, inviter in tuple(thread.invitations.items()):
            if inviter == person:
                del thread.invitations[key]
                thread.kinds.append("invitation_revoked")
        self._leaves_branches(thread, person)
        for named in tuple(thread.removals):
            if named in thread.removals:
                self._look_at_removal_again(thread, named, person, late=late)

    def _look_at_removal_again(self, thread: Thread, named: str, gone: str, *, late: bool) -> None:
        removal = thread.removals[named]
        if named == gone:
            del thread.removals[named]
            thread.kinds.append("removal_withdrawn")
            return
        if gone not in removal.electors:
            return
        removal.electors.remove(gone)
        removal.agreed.discard(gone)
        if late:
            del thread.removals[named]
            thread.kinds.append("removal_expired")
        elif len(removal.electors) < 2:
            del thread.removals[named]
            thread.kinds.append("co_author_kept")
        else:
            thread.kinds.append("removal_vote_cast")
            if set(removal.electors) <= removal.agreed:
                del thread.removals[named]
                self._leave(thread, named, "co_author_removed")

    def _look_again(self, thread: Thread, message: Message) -> None:
        """Approved when every elector approved; an empty electorate never approves."""
        if not message.electors or not set(message.electors) <= message.approved_by:
            return
        message.status = "approved"
        thread.kinds.append("message_approved")
        if message.author not in thread.co_authors:
            thread.co_authors.append(message.author)
            thread.invitations.pop(message.author, None)
            thread.kinds.append("co_author_joined")
        thread.runs_begun += 1

    @staticmethod
    def _expire(thread: Thread, message: Message) -> None:
        message.status = "expired"
        thread.kinds.append("message_expired")
