"""The terminal client against a scripted server over a real websocket."""

import asyncio
import os
import stat
import sys
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from server.chat.client import Backoff, ChorusClient
from server.chat.errors import (
    BadAddress,
    KeyFileError,
    OtherProtocol,
    RefusedByServer,
    SessionEnded,
    SignInRefused,
    Unreachable,
)
from server.chat.events import CaughtUp, ClientEvent, Live, Opened, Skipped
from server.chat.frames import RunFinishedEvent
from server.chat.keyfile import Identity, default_key_file, load_or_create
from server.chat.runs import ChatRunStatus
from server.chat.signin import check_statement, parse_url
from server.chat.view import ChatState, fold
from tests.server.chat.fake_server import BOB, FakeServer, Room, statement
from tests.support.eventually import PATIENCE

QUICK = Backoff(first=0.01, longest=0.05, give_up_after=8)


class Told:
    """Folds and keeps what a client tells, and waits for conditions on it."""

    def __init__(self, client: ChorusClient) -> None:
        self.client = client
        self.events: list[ClientEvent] = []
        self.state = ChatState(me=client.public_key)
        self._news = asyncio.Condition()

    async def read(self) -> None:
        async for event in self.client.events():
            async with self._news:
                self.events.append(event)
                self.state = fold(self.state, event)
                self._news.notify_all()

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE), self._news:
                await self._news.wait_for(condition)
        except TimeoutError:
            pytest.fail(f"the client never told {what}; it told {self.events}")

    def seqs(self) -> list[int]:
        lives = [event for event in self.events if isinstance(event, Live)]
        return [live.seq for live in lives if live.seq is not None]

    async def answer(self, run_id: str | None) -> str:
        assert run_id is not None
        await self.until(
            lambda: (run := self.state.run(run_id)) is not None and not run.is_live,
            f"the end of run {run_id}",
        )
        run = self.state.run(run_id)
        assert run is not None
        assert run.answer is not None, f"the run ended as {run.status}"
        return run.answer.content or ""


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as running:
        yield running


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    return load_or_create(tmp_path / "key")


def new_client(server: FakeServer, identity: Identity, **options: Backoff) -> ChorusClient:
    numbers = count(1)
    return ChorusClient(
        parse_url(server.url),
        identity,
        new_id=lambda: f"request-{next(numbers)}",
        jitter=lambda: 0.5,
        backoff=options.get("backoff", QUICK),
    )


@asynccontextmanager
async def signed_in(server: FakeServer, identity: Identity) -> AsyncIterator[Told]:
    async with new_client(server, identity) as client:
        told = Told(client)
        reading = asyncio.create_task(told.read())
        try:
            yield told
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def room_of(server: FakeServer, identity: Identity) -> Room:
    room = server.room("Evening", identity.public_key, BOB)
    await server.submit(room, BOB, "Why is the sky red?")
    return room


async def test_a_prompt_streams_to_its_answer(server: FakeServer, identity: Identity) -> None:
    room = await room_of(server, identity)
    server.loops = 2
    async with signed_in(server, identity) as told:
        await told.client.follow(room.id)
        accepted = await told.client.act("submit_prompt", thread_id=room.id, prompt="Is it so?")
        assert await told.answer(accepted.run_id) == server.answer
    run = told.state.run(accepted.run_id or "")
    assert run is not None
    assert run.status is ChatRunStatus.FINISHED
    assert [(step.step, step.iteration) for step in run.steps if step.attempt == 1] == [
        *((step, 1) for step in ("action", "experience", "intention", "observation", "update")),
        *((step, 2) for step in ("action", "experience", "intention", "observation", "update")),
        ("yield", 2),
    ]
    thoughts = [step.thinking for step in run.steps if step.step == "action"]
    assert thoughts == ["Let me see."] * 2
    assert not any(isinstance(each, Skipped) for each in told.events), "passing frames are borne"
    assert told.seqs() == list(range(2, len(room.journal) + 1))
    assert server.received[-1]["type"] == "sign_out"


async def test_a_socket_dropped_mid_run_resumes_without_loss_or_repeat(
    server: FakeServer, identity: Identity
) -> None:
    room = await room_of(server, identity)
    server.hold_yield.clear()
    server.drop_after_seq = {5, 9}
    async with signed_in(server, identity) as told:
        await told.client.follow(room.id)
        accepted = await told.client.act("submit_prompt", thread_id=room.id, prompt="Is it so?")
        await told.until(
            lambda: (
                (run := told.state.running) is not None
                and run.current is not None
                and run.current.step == "yield"
                and run.current.text == server.answer[:5]
            ),
            "the first words of the answer",
        )
        told_before = len(told.events)
        server.cut()
        await told.until(
            lambda: any(isinstance(event, CaughtUp) for event in told.events[told_before:]),
            "that it caught up",
        )
        assert told.state.running is not None
        assert told.state.running.current is not None
        assert told.state.running.current.text == server.answer[:5]
        server.hold_yield.set()
        assert await told.answer(accepted.run_id) == server.answer
    assert told.seqs() == list(range(2, len(room.journal) + 1))
    assert server.sign_ins == ["key", "token", "token", "token"]
    asked = [frame["data"] for frame in server.received if frame["type"] == "get_thread"]
    assert [data.get("after_seq") for data in asked[:3]] == [None, 5, 9]
    assert "after_seq" in asked[3]
    assert all(data["epoch"] == server.epoch for data in asked[1:])


async def test_an_unacknowledged_request_is_sent_again_with_its_id_and_carried_out_once(
    server: FakeServer, identity: Identity
) -> None:
    room = await room_of(server, identity)
    server.drop_instead_of_reply = {"submit_prompt"}
    async with signed_in(server, identity) as told:
        await told.client.follow(room.id)
        accepted = await told.client.act("submit_prompt", thread_id=room.id, prompt="Is it so?")
        await told.answer(accepted.run_id)
    sent = [frame for frame in server.received if frame["type"] == "submit_prompt"]
    assert len(sent) == 2
    assert sent[0] == sent[1]
    assert [message["content"] for message in room.messages].count("Is it so?") == 1


async def test_a_store_restored_meanwhile_is_opened_anew(
    server: FakeServer, identity: Identity
) -> None:
    room = await room_of(server, identity)
    async with signed_in(server, identity) as told:
        await told.client.follow(room.id)
        server.epoch = "epoch-2"
        server.cut()
        await told.until(
            lambda: sum(isinstance(event, Opened) for event in told.events) == 2,
            "a fresh snapshot",
        )
        accepted = await told.client.act("submit_prompt", thread_id=room.id, prompt="Again?")
        assert await told.answer(accepted.run_id) == server.answer


async def test_a_lost_token_falls_back_to_the_key(server: FakeServer, identity: Identity) -> None:
    room = await room_of(server, identity)
    async with signed_in(server, identity) as told:
        await told.client.follow(room.id)
        server.tokens.clear()
        server.cut()
        await told.until(lambda: any(isinstance(e, CaughtUp) for e in told.events), "a resume")
    assert server.sign_ins == ["key", "key"]


async def test_a_frame_that_skips_a_number_is_asked_for_again(
    server: FakeServer, identity: Identity
) -> None:
    room = await room_of(server, identity)
    async with signed_in(server, identity) as told:
        await told.client.follow(room.id)
        followers = list(server.peers)
        for peer in followers:
            peer.follows = None
        await server.submit(room, BOB, "missed")
        for peer in followers:
            peer.follows = room.id
        await server.submit(room, BOB, "seen")
        await told.until(lambda: len(told.state.messages) == 3, "both messages")
    assert told.seqs() == [2, 3]


async def test_a_refused_request_raises_its_code_and_the_session_goes_on(
    server: FakeServer, identity: Identity
) -> None:
    async with signed_in(server, identity) as told:
        with pytest.raises(RefusedByServer, match="no such thread") as refused:
            await told.client.follow("00000000-0000-4000-8000-000000000000")
        assert refused.value.code == "not_found"
        assert (await told.client.threads("mine")).threads == ()


async def test_a_request_over_the_frame_limit_is_refused_before_it_is_sent(
    server: FakeServer, identity: Identity
) -> None:
    async with signed_in(server, identity) as told:
        with pytest.raises(RefusedByServer) as refused:
            await told.client.act("submit_prompt", thread_id="x", prompt="雪" * 30_000)
    assert refused.value.code == "too_large"
    assert all(frame["type"] != "submit_prompt" for frame in server.received)


@pytest.mark.parametrize("code", [1008, 4009])
async def test_a_final_close_ends_the_session_for_everyone_who_waits(
    server: FakeServer, identity: Identity, code: int
) -> None:
    async with new_client(server, identity) as client:
        await server.close_all(code)
        with pytest.raises(SessionEnded):
            async for _ in client.events():
                pass
        with pytest.raises(SessionEnded):
            await client.threads("mine")


async def test_a_server_that_stays_away_ends_the_session_after_bounded_attempts(
    identity: Identity,
) -> None:
    async with FakeServer() as server:
        client = new_client(server, identity, backoff=Backoff(0.001, 0.002, give_up_after=3))
        await client.__aenter__()
    told = Told(client)
    try:
        with pytest.raises(Unreachable, match="3 attempts"):
            await asyncio.wait_for(told.read(), PATIENCE)
    finally:
        await client.__aexit__(None, None, None)


async def test_a_statement_for_another_host_is_not_signed(
    server: FakeServer, identity: Identity
) -> None:
    server.name_in_statement = lambda authority: "bank.example"
    with pytest.raises(SignInRefused, match=r"bank\.example"):
        await new_client(server, identity).__aenter__()
    assert all(frame["type"] != "authenticate" for frame in server.received)


async def test_a_statement_for_another_key_is_not_signed(
    server: FakeServer, identity: Identity
) -> None:
    server.key_in_statement = lambda key: BOB
    with pytest.raises(SignInRefused, match="another key"):
        await new_client(server, identity).__aenter__()
    assert all(frame["type"] != "authenticate" for frame in server.received)


async def test_another_protocol_version_is_refused(server: FakeServer, identity: Identity) -> None:
    server.protocol = 2
    with pytest.raises(OtherProtocol, match="version 2"):
        await new_client(server, identity).__aenter__()


@pytest.mark.parametrize(
    ("dialled", "named", "same"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080", True),
        ("ws://localhost:8080", "127.0.0.1:8080", True),
        ("http://[::1]:8080", "localhost:8080", True),
        ("http://127.0.0.1:8080", "127.0.0.1:8081", False),
        ("http://chorus.example:8080", "127.0.0.1:8080", False),
        ("http://127.0.0.1:8080", "chorus.example:8080", False),
        ("https://chorus.example", "chorus.example", True),
        ("https://chorus.example", "chorus.example:443", True),
        ("https://Chorus.Example/base", "chorus.example", True),
        ("https://chorus.example", "chorus.example:80", False),
        ("https://chorus.example", "chorus.example.evil.example", False),
        ("https://chorus.example", "me@chorus.example", False),
        ("https://chorus.example", "chorus.example/evil", False),
    ],
)
def test_a_statement_is_signed_only_for_the_host_that_was_dialled(
    dialled: str, named: str, same: bool
) -> None:
    endpoint, text = parse_url(dialled), statement(named, BOB, "n1")
    if same:
        check_statement(text, endpoint=endpoint, public_key=BOB, nonce="n1")
    else:
        with pytest.raises(SignInRefused):
            check_statement(text, endpoint=endpoint, public_key=BOB, nonce="n1")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("URI: http://127", "URI: http://127.0.0.1.evil/127"),
        lambda text: text.replace("Nonce: n1", "Nonce: n2"),
        lambda text: text.replace("Version: 1", "Version: 2"),
        lambda text: text + "\x1b[2J",
        lambda text: "I owe you a boat.\n" + text,
        lambda text: "",
        lambda text: text + "\n" + "x" * 5_000,
    ],
)
def test_a_statement_of_another_shape_is_not_signed(spoil: Callable[[str], str]) -> None:
    text = spoil(statement("127.0.0.1:8080", BOB, "n1"))
    endpoint = parse_url("http://127.0.0.1:8080")
    with pytest.raises(SignInRefused):
        check_statement(text, endpoint=endpoint, public_key=BOB, nonce="n1")


@pytest.mark.parametrize(
    ("url", "dialled"),
    [
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/ws"),
        ("https://chorus.example/", "wss://chorus.example/ws"),
        ("wss://chorus.example/base/ws", "wss://chorus.example/base/ws"),
        ("ws://[::1]:80", "ws://[::1]/ws"),
    ],
)
def test_the_websocket_is_at_ws_under_the_address(url: str, dialled: str) -> None:
    assert parse_url(url).websocket_url == dialled


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8080", "ftp://a", "http://", "http://a:99999", "http://u@a", "http://a?b"],
)
def test_what_is_no_address_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(BadAddress):
        parse_url(url)


def test_a_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "key"
    first = load_or_create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["key"]
    assert load_or_create(path).public_key == first.public_key


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_key_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    load_or_create(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="chmod 600"):
        load_or_create(path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda line: b"",
        lambda line: line[:-4],
        lambda line: line.swapcase(),
        lambda line: line.partition(b":")[2],
        lambda line: b"\xff\xfe" + line,
        lambda line: line + line,
    ],
)
def test_a_corrupt_key_file_is_refused_and_kept(
    tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "key"
    load_or_create(path)
    corrupt = spoil(path.read_bytes())
    path.write_bytes(corrupt)
    with pytest.raises(KeyFileError, match="corrupt"):
        load_or_create(path)
    assert path.read_bytes() == corrupt


def test_a_folder_or_a_fifo_in_the_keys_place_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    for path in (tmp_path, tmp_path / "fifo"):
        with pytest.raises(KeyFileError):
            load_or_create(path)


def test_the_key_file_is_where_the_environment_says() -> None:
    home = Path("/home/ann")
    assert default_key_file({}, home) == Path("/home/ann/.config/chorus/key")
    assert default_key_file({"XDG_CONFIG_HOME": "/c"}, home) == Path("/c/chorus/key")
    assert default_key_file({"CHORUS_KEY_FILE": "/k", "XDG_CONFIG_HOME": "/c"}, home) == Path("/k")
    assert default_key_file({"CHORUS_KEY_FILE": ""}, home) == Path("/home/ann/.config/chorus/key")


def program(url: str, key_file: Path, thread_id: str | None) -> list[str]:
    """The command line of a process that chats."""
    return [
        sys.executable,
        "-c",
        "import asyncio, sys; from pathlib import Path; from server.chat.command import chat;"
        f"sys.exit(asyncio.run(chat({url!r}, {thread_id!r}, Path({str(key_file)!r}))))",
    ]


async def run_plain(
    url: str, key_file: Path, lines: str, thread_id: str | None = None
) -> tuple[int, str, str]:
    """`chorus chat` in a process without a tty; returns exit code, stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        *program(url, key_file, thread_id),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate(lines.encode())
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_without_a_tty_each_line_is_a_prompt_and_its_answer_is_printed(
    server: FakeServer, tmp_path: Path
) -> None:
    code, out, err = await run_plain(
        server.url, tmp_path / "key", "Why is the sky red?\n\n/threads\n//etc/hosts is what?\n"
    )
    assert code == 0, err
    answers = [line for line in out.splitlines() if line == server.answer]
    assert len(answers) == 2, out
    assert "[P1] #0 you: Why is the sky red?" in out
    assert "experience, loop 1, 2 priors" in err
    assert "ai_unavailable, trying again" in err
    (room,) = server.rooms.values()
    assert room.name == "Why is the sky red?"
    assert [message["content"] for message in room.messages][2] == "/etc/hosts is what?"


async def test_without_a_tty_a_memory_that_is_away_is_told(
    server: FakeServer, tmp_path: Path
) -> None:
    server.memory_is_away = True
    code, _, err = await run_plain(server.url, tmp_path / "key", "Why?\n")
    assert code == 0, err
    assert "experience, loop 1, the memory could not be searched" in err


async def test_without_a_tty_a_run_that_waits_is_told(server: FakeServer, tmp_path: Path) -> None:
    server.journal_is_away = True
    code, _, err = await run_plain(server.url, tmp_path / "key", "Why?\n")
    assert code == 0, err
    assert err.count("No room. The run waits.") == 6, "once a step"


async def test_without_a_tty_the_socket_may_drop_in_the_middle(
    server: FakeServer, tmp_path: Path
) -> None:
    server.drop_after_seq = {4}
    code, out, err = await run_plain(server.url, tmp_path / "key", "Why?\n")
    assert code == 0, err
    assert server.answer in out
    assert "back online" in err


async def test_without_a_tty_a_failed_run_gives_a_failing_exit_code(
    server: FakeServer, tmp_path: Path
) -> None:
    server.fail_with = "ai_rejected"
    code, out, err = await run_plain(server.url, tmp_path / "key", "Why?\n")
    assert code == 1
    assert out == ""
    assert "ai_rejected" in err


async def test_without_a_tty_a_request_that_came_too_early_is_asked_again(
    server: FakeServer, tmp_path: Path
) -> None:
    server.refuse_once["submit_prompt"] = {
        "code": "rate_limited",
        "message": "Too many prompts.",
        "retryable": True,
        "retry_after_ms": 10,
    }
    code, out, err = await run_plain(server.url, tmp_path / "key", "Why?\n")
    assert code == 0, err
    assert server.answer in out
    assert len(server.rooms) == 1


@pytest.mark.parametrize("read", ["list_threads", "get_thread", "search"])
async def test_a_read_that_came_too_early_is_made_again_and_nothing_is_told(
    server: FakeServer, tmp_path: Path, read: str
) -> None:
    server.refuse_once[read] = {
        "code": "rate_limited",
        "message": "Too many requests.",
        "retryable": True,
        "retry_after_ms": 10,
    }
    room = server.room("The room", BOB)
    commands = "/threads\n/search sky\nWhy?\n"
    code, out, err = await run_plain(server.url, tmp_path / "key", commands, room.id)
    assert code == 0, err
    assert server.answer in out
    assert read not in server.refuse_once
    assert "Too many requests." not in err


async def test_what_others_wrote_reaches_a_pipe_without_control_characters(
    server: FakeServer, tmp_path: Path
) -> None:
    server.answer = "safe \x1b]0;owned\x07\x9b31m\u202etext [P1]"
    room = server.room("Evil \x1b[2J room", BOB)
    server.names[BOB] = "Bob\x1b[8m\r"
    await server.submit(room, BOB, "look \x1b[31m here")
    code, out, err = await run_plain(
        server.url, tmp_path / "key", "/threads\n/search sky\nWhy?\n", room.id
    )
    assert code == 0, err
    assert "safe" in out
    assert "Evil" in out
    assert "dusk" in out
    for text in (out, err):
        assert all(character == "\n" or character.isprintable() for character in text), text


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:1", "No server answers"),
        ("nonsense", "no address"),
    ],
)
async def test_what_cannot_work_is_one_line_on_stderr(tmp_path: Path, url: str, says: str) -> None:
    code, out, err = await run_plain(url, tmp_path / "key", "Why?\n")
    assert (code, out) == (1, "")
    assert says in err
    assert err.count("\n") == 1


async def test_a_hostile_server_is_one_line_on_stderr(server: FakeServer, tmp_path: Path) -> None:
    server.name_in_statement = lambda authority: "bank.example"
    code, out, err = await run_plain(server.url, tmp_path / "key", "Why?\n")
    assert (code, out) == (1, "")
    assert "Not signed" in err
    assert err.count("\n") == 1


async def test_a_live_finish_is_told_after_all_that_led_to_it(
    server: FakeServer, identity: Identity
) -> None:
    room = await room_of(server, identity)
    async with signed_in(server, identity) as told:
        await told.client.follow(room.id)
        accepted = await told.client.act("submit_prompt", thread_id=room.id, prompt="Is it so?")
        await told.answer(accepted.run_id)
    last = [event for event in told.events if isinstance(event, Live)][-1]
    assert isinstance(last.body, RunFinishedEvent)
    run = told.state.run(last.body.run_id)
    assert run is not None
    assert run.steps[-1].text == server.answer


async def test_whoever_reads_the_answers_may_go_away(server: FakeServer, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *program(server.url, tmp_path / "key", None),
        stdin=asyncio.subprocess.PIPE,
        stdout=writing,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(writing)
    os.close(reading)
    async with asyncio.timeout(PATIENCE):
        _, err = await process.communicate(b"Why?\n")
    assert process.returncode == 1
    assert b"Traceback" not in err


WHERE_IS_THE_CURSOR = "\x1b[6n"
READS_KEYS, PRINTS = "\x1b[?2004h", "\x1b[?2004l"
"""What is sent to a terminal when the input line takes its keys, and when it gives them back."""


class Screen:
    """A process on a pseudo terminal: what it showed, and a keyboard."""

    def __init__(self, process: asyncio.subprocess.Process, master: int) -> None:
        self.shown = ""
        self._process = process
        self._master = master
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(master, self._read)

    def _read(self) -> None:
        try:
            come = os.read(self._master, 65_536).decode(errors="replace")
        except OSError:  # the other side is closed
            self._loop.remove_reader(self._master)
        else:
            self.shown += come
            if WHERE_IS_THE_CURSOR in come:
                self.type("\x1b[1;1R")  # at the top, so that there is room for all that is drawn
        self._news.set()

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    async def until(self, text: str) -> None:
        await self._until(lambda: text in self.shown, repr(text))

    async def reads_keys(self) -> None:
        """The input line is there again after what was printed last."""
        await self._until(
            lambda: self.shown.rfind(READS_KEYS) > self.shown.rfind(PRINTS), "the input line"
        )

    async def _until(self, condition: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            pytest.fail(f"the terminal never showed {what}; it showed {self.shown!r}")

    async def exit_code(self) -> int:
        """How the process ended, once it has."""
        async with asyncio.timeout(PATIENCE):
            return await self._process.wait()

    def close(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        self._loop.remove_reader(self._master)
        os.close(self._master)


@asynccontextmanager
async def on_a_tty(url: str, folder: Path, thread_id: str | None = None) -> AsyncIterator[Screen]:
    """`chorus chat` on a pseudo terminal; its key and its history are in `folder`."""
    master, slave = os.openpty()
    termios.tcsetwinsize(slave, (24, 100))
    process = await asyncio.create_subprocess_exec(
        *program(url, folder / "key", thread_id),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "xterm", "XDG_STATE_HOME": str(folder)},
    )
    os.close(slave)
    screen = Screen(process, master)
    try:
        yield screen
    finally:
        screen.close()


async def test_on_a_tty_a_prompt_streams_survives_a_cut_and_ends_in_its_answer(
    server: FakeServer, tmp_path: Path
) -> None:
    room = server.room("Evening", BOB)
    await server.submit(room, BOB, "look \x1b]0;owned\x07 here")
    server.hold_yield.clear()
    async with on_a_tty(server.url, tmp_path, room.id) as screen:
        await screen.until("]0;owned here")
        screen.type("Is it so?\r")
        await screen.until("The update of loop 1, in some words.")
        await screen.until(server.answer[:5])
        await screen.until("Yield")
        server.cut()
        await screen.until("Back online.")
        server.hold_yield.set()
        await screen.until("[P1] ")
        screen.type("/quit\r")
        assert await screen.exit_code() == 0
    assert "\x1b]0;owned" not in screen.shown
    assert "Traceback" not in screen.shown
    history = tmp_path / "chorus" / "history"
    assert "Is it so?" in history.read_text()
    assert stat.S_IMODE(history.stat().st_mode) == 0o600


async def test_on_a_tty_what_cannot_be_done_is_said_and_the_chat_goes_on(
    server: FakeServer, tmp_path: Path
) -> None:
    async with on_a_tty(server.url, tmp_path) as screen:
        await screen.until("> ")
        screen.type("/sreach herons\r")
        await screen.until("There is no /sreach")
        screen.type("\r/stop\r")
        await screen.until("No thread is open")
        await screen.reads_keys()
        screen.type("\x03")  # Ctrl-C
        await screen.until("Ctrl-D leaves.")
        screen.type("Is it so?\r")
        await screen.until("[P1] ")
        await screen.reads_keys()
        screen.type("\x04")  # Ctrl-D
        assert await screen.exit_code() == 0
    assert "Traceback" not in screen.shown


async def test_on_a_tty_the_end_of_a_session_is_said_and_ends_the_chat(
    server: FakeServer, tmp_path: Path
) -> None:
    async with on_a_tty(server.url, tmp_path) as screen:
        await screen.until("● online")
        await server.close_all(4009)
        await screen.until("chorus: The session goes on elsewhere")
        assert await screen.exit_code() == 1
    assert "Traceback" not in screen.shown
