"""Who may do what: every request against every role.

The table is PROTOCOL's "Who may see what" for requests: a row names a request, a column a role, a
cell the answer (a reply's type, or an error's code). Each cell is tried in a scene: a thread with its
people, a vote that is open, a run under way and one that was stopped. What changes something has a
scene of its own; what is refused or only read is tried in one for each role. What a thread tells
those who follow it is in `test_audience`.
"""

import json
import threading
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest
import pytest_asyncio
from sqlalchemy import event
from sqlalchemy.engine import Engine

from machines.models.wire.requests import REQUESTS
from server.services import Services
from tests.support.client import Data, Frame, Identity, new_id
from tests.support.in_process import Caller, open_test_services

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROLES: Final = (
    "nobody",  # a connection that is not signed in; the thread is public
    "stranger",  # of a private thread
    "outsider",  # of a public thread
    "pending_author",  # of a public thread, where a message of theirs waits for approval
    "co_author",  # of a public thread
    "former_private",  # was a co-author of a private thread
    "former_public",  # was a co-author of a public thread
)
PRIVATE_ROLES: Final = {"stranger", "former_private"}

CHANGES_NOTHING: Final = {
    *("not_authenticated", "not_found", "forbidden", "auth_failed", "invalid_transition"),
    *("events", "heat", "inbox", "invite_link", "people", "pong", "run_explanation"),
    *("search_results", "threads"),
}
"""Answers to requests that leave a scene as it was."""
TOUCHES_NO_OTHER: Final = {
    *("create_thread", "leave_thread", "mark_read", "set_presence", "typing", "set_name"),
}
"""Requests that change what no other row looks at."""

# not signed in | stranger | outsider | pending author | co-author | former: private, public
TABLE: Final[dict[str, str]] = {
    "connect": "challenge" + " invalid_transition" * 6,
    "authenticate": "auth_failed" + " invalid_transition" * 6,
    "resume": "auth_failed" + " invalid_transition" * 6,
    "create_thread": "not_authenticated" + " accepted" * 6,
    "create_thread for another": "not_authenticated" + " forbidden" * 6,
    "get_thread": (
        "not_authenticated not_found thread_messages thread_messages thread_messages"
        " not_found thread_messages"
    ),
    "get_thread of an older page": (
        "not_authenticated not_found thread_messages thread_messages thread_messages"
        " not_found thread_messages"
    ),
    "get_thread with what was missed": (
        "not_authenticated not_found thread_messages thread_messages thread_messages"
        " not_found thread_messages"
    ),
    "get_events": "not_authenticated not_found events events events not_found events",
    "get_past": (
        "not_authenticated not_found thread_past thread_past thread_past not_found thread_past"
    ),
    "explain_run": (
        "not_authenticated not_found run_explanation run_explanation run_explanation"
        " not_found run_explanation"
    ),
    "explain_value": (
        "not_authenticated not_found value_explanation value_explanation value_explanation"
        " not_found value_explanation"
    ),
    "get_heat": "not_authenticated not_found forbidden forbidden heat not_found forbidden",
    "leave_thread": "not_authenticated" + " accepted" * 6,
    "submit_prompt": "not_authenticated not_found accepted accepted accepted not_found accepted",
    "cancel_run": "not_authenticated not_found forbidden forbidden accepted not_found forbidden",
    "retry_run": "not_authenticated not_found forbidden forbidden accepted not_found forbidden",
    "approve_message": (
        "not_authenticated not_found forbidden forbidden accepted not_found forbidden"
    ),
    "reject_message": (
        "not_authenticated not_found forbidden forbidden accepted not_found forbidden"
    ),
    "withdraw_message": (
        "not_authenticated not_found invalid_transition accepted invalid_transition"
        " not_found invalid_transition"
    ),
    "invite_co_author": (
        "not_authenticated not_found forbidden forbidden accepted not_found forbidden"
    ),
    "accept_invitation": "not_authenticated" + " not_found" * 6,
    "decline_invitation": "not_authenticated" + " not_found" * 6,
    "revoke_invitation": (
        "not_authenticated not_found forbidden forbidden accepted not_found forbidden"
    ),
    "create_invite_link": (
        "not_authenticated not_found forbidden forbidden accepted not_found forbidden"
    ),
    "revoke_invite_link": (
        "not_authenticated not_found forbidden forbidden accepted not_found forbidden"
    ),
    "view_invite_link": "not_authenticated" + " invite_link" * 6,
    "view_invite_link of nothing": "not_authenticated" + " not_found" * 6,
    "accept_invite_link": (
        "not_authenticated accepted accepted accepted invalid_transition accepted accepted"
    ),
    "accept_invite_link of nothing": "not_authenticated" + " not_found" * 6,
    **dict.fromkeys(
        # Of the co-author's the run has completed no step, and no branch is open.
        ("fork_run", "propose_adoption", "vote_on_branch", "discard_branch"),
        "not_authenticated not_found forbidden forbidden not_found not_found forbidden",
    ),
    "compare_runs": (
        "not_authenticated not_found forbidden forbidden comparison not_found forbidden"
    ),
    "propose_removal": (
        "not_authenticated not_found forbidden forbidden accepted not_found forbidden"
    ),
    "vote_on_removal": (
        "not_authenticated not_found forbidden forbidden accepted not_found forbidden"
    ),
    "withdraw_removal": (
        "not_authenticated not_found forbidden forbidden invalid_transition not_found forbidden"
    ),
    "leave_co_authorship": (
        "not_authenticated not_found forbidden forbidden accepted not_found forbidden"
    ),
    "rename_thread": (
        "not_authenticated not_found forbidden forbidden accepted not_found forbidden"
    ),
    "configure_thread": (
        "not_authenticated not_found forbidden forbidden accepted not_found forbidden"
    ),
    "archive_thread": (
        "not_authenticated not_found forbidden forbidden accepted not_found forbidden"
    ),
    "list_threads": "not_authenticated" + " threads" * 6,
    "list_threads of others": "not_authenticated" + " threads" * 6,
    "list_threads of invitations": "not_authenticated" + " threads" * 6,
    "get_inbox": "not_authenticated" + " inbox" * 6,
    "mark_read": "not_authenticated not_found accepted accepted accepted not_found accepted",
    "hide_thread": "not_authenticated not_found accepted accepted accepted not_found accepted",
    "hide_message": "not_authenticated not_found accepted accepted accepted not_found accepted",
    "set_presence": "not_authenticated" + " accepted" * 6,
    "typing": "not_authenticated not_found forbidden forbidden accepted not_found forbidden",
    "list_people": "not_authenticated" + " people" * 6,
    "search": "not_authenticated" + " search_results" * 6,
    "search in the thread": (
        "not_authenticated not_found search_results search_results search_results"
        " not_found search_results"
    ),
    "set_name": "not_authenticated" + " accepted" * 6,
    "sign_out": "not_authenticated" + " accepted" * 6,
    "ping": "pong" + " pong" * 6,
}
CELLS: Final = [
    (request, role, expected)
    for request, row in TABLE.items()
    for role, expected in zip(ROLES, row.split(), strict=True)
]


ABOUT_A_THREAD: Final = [
    *(
        request
        for request, role, expected in CELLS
        if (role, expected) == ("stranger", "not_found") and "link of nothing" not in request
    ),
    "leave_thread",
]


@dataclass(frozen=True)
class Scene:
    """One thread with its people, and somebody in the role that is tried."""

    thread_id: str
    message_id: str
    """Waits for approval; where nobody outside may write, a message that is approved."""
    stopped_run: str
    live_run: str
    invited: str
    """A key whose invitation is open."""
    link: Data
    """An open invite link, with its secret."""
    named: str
    """A co-author whose removal the owner proposed."""
    idle: str
    """Another co-author."""
    owner: Caller
    actor: Caller


def request_of(name: str, scene: Scene) -> tuple[str, Data]:
    """The type and the data of a row's request."""
    thread: Data = {"thread_id": scene.thread_id}
    message = thread | {"message_id": scene.message_id}
    branch = thread | {"branch_id": scene.live_run}
    data: dict[str, Data] = {
        "connect": {"public_key": Identity().public_key},
        "authenticate": {"signature": "1" * 64},
        "resume": {"token": "0" * 64},
        "create_thread": {"name": "Another"},
        "create_thread for another": {"name": "Another", "user_id": new_id()},
        "get_thread": thread,
        "get_thread of an older page": thread | {"before_index": 1},
        "get_thread with what was missed": thread | {"after_seq": 0},
        "get_events": thread | {"after_seq": 0},
        "get_past": thread | {"at_seq": 1},
        "explain_run": thread | {"run_id": scene.live_run},
        "explain_value": thread | {"value_id": scene.message_id},
        "get_heat": thread | {"machine": "chorus"},
        "leave_thread": thread,
        "submit_prompt": thread | {"prompt": "HOLD, please"},
        "cancel_run": thread | {"run_id": scene.live_run},
        "retry_run": thread | {"run_id": scene.stopped_run},
        "approve_message": message,
        "reject_message": message | {"reason": "No"},
        "withdraw_message": message,
        "invite_co_author": thread | {"public_key": Identity().public_key},
        "accept_invitation": thread,
        "decline_invitation": thread,
        "revoke_invitation": thread | {"public_key": scene.invited},
        "create_invite_link": thread,
        "revoke_invite_link": thread | {"link_id": scene.link["id"]},
        "view_invite_link": {"secret": scene.link["secret"]},
        "view_invite_link of nothing": {"secret": "guessed"},
        "accept_invite_link": {"secret": scene.link["secret"]},
        "accept_invite_link of nothing": {"secret": "guessed"},
        "fork_run": thread
        | {
            "run_id": scene.live_run,
            "step": "action",
            "change": {"kind": "prompt", "text": "Or so?"},
        },
        "propose_adoption": branch,
        "vote_on_branch": branch | {"decision": "approve"},
        "discard_branch": branch,
        "compare_runs": thread | {"run_id": scene.live_run, "other_run_id": scene.live_run},
        "propose_removal": thread | {"public_key": scene.idle},
        "vote_on_removal": thread | {"public_key": scene.named, "decision": "keep"},
        "withdraw_removal": thread | {"public_key": scene.named},
        "leave_co_authorship": thread,
        "rename_thread": thread | {"name": "Renamed"},
        "configure_thread": thread | {"instructions": "Be brief.", "model": None},
        "archive_thread": thread,
        "list_threads": {"scope": "mine"},
        "list_threads of others": {"scope": "public"},
        "list_threads of invitations": {"scope": "invited"},
        "get_inbox": {},
        "mark_read": thread | {"seq": 1},
        "hide_thread": thread | {"hidden": True},
        "hide_message": message | {"hidden": True},
        "set_presence": {"shown": False},
        "typing": thread,
        "list_people": {},
        "search": {"query": "treasure"},
        "search in the thread": thread | {"query": "treasure"},
        "set_name": {"name": "Somebody"},
        "sign_out": {},
        "ping": {},
    }
    return name.split(" ")[0], data[name]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    async with open_test_services(tmp_path_factory.mktemp("services"), moody=True) as services:
        yield services


@pytest.fixture(scope="module")
def shared() -> dict[str, Scene]:
    """A scene for each role, once it is asked for."""
    return {}


async def shared_scene(role: str, services: Services, shared: dict[str, Scene]) -> Scene:
    """The scene of a role in which nothing is changed."""
    if role not in shared:
        shared[role] = await scene_for(role, services)
    return shared[role]


async def scene_for(role: str, services: Services) -> Scene:
    """A new thread, and new people."""
    owner = await Caller(services).sign_in(Identity())
    actor = Caller(services)
    if role != "nobody":
        await actor.sign_in(Identity())
    visibility = "private" if role in PRIVATE_ROLES else "public"
    name = "Secret plans" if visibility == "private" else "Open plans"
    created = await owner.get("create_thread", name=name, visibility=visibility)
    thread_id = created["thread_id"]
    thread = {"thread_id": thread_id}
    stopped = await owner.get("submit_prompt", prompt="HOLD the treasure", **thread)
    await owner.get("cancel_run", run_id=stopped["run_id"], **thread)
    live = await owner.get("submit_prompt", prompt="HOLD it again", **thread)
    if role == "co_author" or role.startswith("former"):
        await owner.bring_in(actor, thread_id)
    idle, named = [await Caller(services).sign_in(Identity()) for _ in range(2)]
    for each in (idle, named):
        await owner.bring_in(each, thread_id)
    await owner.get("propose_removal", public_key=named.public_key, **thread)
    invited = Identity().public_key
    await owner.get("invite_co_author", public_key=invited, **thread)
    link = (await owner.get("create_invite_link", **thread))["link"]
    if role.startswith("former"):
        await actor.get("leave_co_authorship", **thread)
    message_id = stopped["message_id"]
    if visibility == "public":
        author = actor if role == "pending_author" else await Caller(services).sign_in(Identity())
        pending = await author.get("submit_prompt", prompt="May I come in?", **thread)
        message_id = pending["message_id"]
    return Scene(
        thread_id=thread_id,
        message_id=message_id,
        stopped_run=stopped["run_id"],
        live_run=live["run_id"],
        invited=invited,
        link=link,
        named=named.public_key,
        idle=idle.public_key,
        owner=owner,
        actor=actor,
    )


def answer_of(reply: Frame) -> str:
    """A reply in the words of the table."""
    return str(reply["data"]["code"] if reply["type"] == "error" else reply["type"])


async def test_the_table_has_every_request() -> None:
    assert {name.split(" ")[0] for name in TABLE} == set(REQUESTS)


@pytest.mark.parametrize(("request_name", "role", "expected"), CELLS)
async def test_a_request_gets_the_answer_of_its_askers_role(
    services: Services, shared: dict[str, Scene], request_name: str, role: str, expected: str
) -> None:
    scene = (
        await shared_scene(role, services, shared)
        if expected in CHANGES_NOTHING or request_name in TOUCHES_NO_OTHER
        else await scene_for(role, services)
    )
    type_, data = request_of(request_name, scene)
    head = await head_of(scene)
    reply = await scene.actor.ask(type_, **data)
    assert answer_of(reply) == expected, reply["data"]
    if reply["type"] == "error":
        assert await head_of(scene) == head, "what is refused leaves no trace in the journal"


async def head_of(scene: Scene) -> int:
    """The number of the thread's last entry, as its owner is told."""
    page = await scene.owner.get("get_events", thread_id=scene.thread_id, after_seq=0, limit=1)
    return int(page["head_seq"])


@pytest.mark.parametrize("role", sorted(PRIVATE_ROLES))
@pytest.mark.parametrize("request_name", ABOUT_A_THREAD)
async def test_a_thread_that_is_not_ones_own_answers_as_one_that_is_not_there(
    services: Services, shared: dict[str, Scene], request_name: str, role: str
) -> None:
    scene = await shared_scene(role, services, shared)
    type_, data = request_of(request_name, scene)
    unknown = {name: new_id() for name in ("thread_id", "message_id", "run_id") if name in data}
    same = new_id()
    there = json.dumps(await scene.actor.ask(type_, request_id=same, **data))
    nowhere = json.dumps(await scene.actor.ask(type_, request_id=same, **(data | unknown)))
    # An answer may repeat the id that was asked for, and nothing else.
    assert there.replace(scene.thread_id, "") == nowhere.replace(unknown["thread_id"], "")


@pytest.mark.parametrize("role", ["stranger", "former_private"])
async def test_lists_and_searches_do_not_tell_of_foreign_private_threads(
    services: Services, role: str
) -> None:
    scene = await scene_for(role, services)
    told = [
        await scene.actor.get("list_threads", scope="mine", limit=200),
        await scene.actor.get("list_threads", scope="public", limit=200),
        await scene.actor.get("get_inbox", limit=200),
        await scene.actor.get("search", query="the treasure", limit=80),
    ]
    assert scene.thread_id not in json.dumps(told)
    assert "Secret plans" not in json.dumps(told)


@contextmanager
def statements_about(ids: Collection[str]) -> Iterator[list[str]]:
    """The statements that the stores are asked while the block runs, with one of these ids; but for
    those of the server's own count, which asks of what was committed before."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, values: object, *_: Any) -> None:
        is_counting = threading.current_thread().name == "journal-writer" and any(
            table in statement for table in ("heat", "standing")
        )
        if not is_counting and any(each in str(values) for each in ids):
            asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("request_name", ABOUT_A_THREAD)
@pytest.mark.parametrize("is_open", [False, True])
async def test_a_foreign_thread_takes_as_long_as_one_that_is_not_there(
    services: Services, request_name: str, *, is_open: bool
) -> None:
    owner, stranger = [await Caller(services).sign_in(Identity()) for _ in range(2)]
    thread = await owner.get("create_thread", name="Secret plans")
    if is_open:
        await owner.get("rename_thread", thread_id=thread["thread_id"], name="In use")
    other = {"message_id": new_id(), "run_id": new_id()}
    scene = Scene(
        thread_id=thread["thread_id"],
        message_id=other["message_id"],
        stopped_run=other["run_id"],
        live_run=other["run_id"],
        invited=Identity().public_key,
        link={"id": new_id(), "secret": "unknown"},
        named=Identity().public_key,
        idle=Identity().public_key,
        owner=owner,
        actor=stranger,
    )
    type_, data = request_of(request_name, scene)
    nowhere = new_id()
    work: list[list[str]] = []
    for thread_id in (scene.thread_id, nowhere):
        with statements_about((scene.thread_id, nowhere)) as asked:
            await stranger.ask(type_, **(data | {"thread_id": thread_id}))
        work.append(asked)
    assert work[0] == work[1]
    assert len(work[0]) <= 1
