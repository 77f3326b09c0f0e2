"""The fold of the terminal client: what holds however frames are cut, repeated, lost or hostile."""

import io
import itertools
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from server.chat import listings, pieces, render
from server.chat.errors import BadInput
from server.chat.events import CaughtUp, ClientEvent, Gone, Live, Offline, Online, Opened, Skipped
from server.chat.frames import (
    ChatInboxItem,
    ChatMessage,
    ChatPrior,
    ChatThread,
    ChatThreadSummary,
    ChatUser,
    Frame,
    Model,
    Notice,
    ThreadMessages,
    parse_live,
)
from server.chat.runs import ChatRunStatus, StepStatus
from server.chat.text import clean, one_line
from server.chat.verbs import USAGE, Command, Takes, Verb, parse
from server.chat.view import ChatState, close, expect, fold

ME, BOB, THREAD = "me-key", "bob-key", "thread-1"


def message(index: int, **more: Any) -> dict[str, Any]:
    given_fields = {"index": index, "id": f"m{index}", "thread_id": THREAD, "role": "user"}
    return {**given_fields, "author": BOB, "content": f"text {index}", "status": "approved", **more}


def snapshot(head: int = 0, **more: Any) -> ThreadMessages:
    thread = {"id": THREAD, "name": "Evening", "visibility": "private", "co_authors": [ME, BOB]}
    return ThreadMessages.model_validate({"thread": thread, "head_seq": head, **more})


def opened(**more: Any) -> ChatState:
    return fold(ChatState(me=ME), Opened(snapshot(**more)))


def live(type_: str, data: dict[str, Any]) -> Live:
    body = parse_live(Frame(type=type_, data=data))
    assert body is not None, f"the client cannot read {data}"
    return Live(THREAD, None, body)


def thread_event(kind: str, **data: Any) -> Live:
    return live("thread_event", {"kind": kind, **data})


def step(
    status: str, name: str = "action", iteration: int = 1, attempt: int = 1, **data: Any
) -> Live:
    about = {"run_id": "r1", "message_id": "m0", "step": name, "status": status}
    return live("chorus_response", {**about, "iteration": iteration, "attempt": attempt, **data})


def folded(state: ChatState, events: Sequence[ClientEvent]) -> ChatState:
    for event in events:
        state = fold(state, event)
    return state


def current_text(state: ChatState) -> str:
    run = state.run("r1")
    assert run is not None
    assert run.current is not None
    return run.current.text


@given(st.text(max_size=60), st.lists(st.integers(0, 60), max_size=8), st.randoms())
@settings(max_examples=60)
def test_the_text_is_a_prefix_of_the_whole_however_deltas_are_cut_repeated_or_lost(
    whole: str, cuts: list[int], chance: Any
) -> None:
    edges = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    deltas = [
        step("delta", offset=start, text=whole[start:end])
        for start, end in itertools.pairwise(edges)
    ]
    everything = folded(opened(), [step("started"), *deltas])
    assert current_text(everything) == whole
    mangled = [delta for delta in deltas for _ in range(chance.choice((0, 1, 1, 2)))]
    assert whole.startswith(current_text(folded(opened(), [step("started"), *mangled])))


def test_a_new_attempt_begins_at_the_beginning_and_a_late_delta_of_the_old_one_is_dropped() -> None:
    state = folded(
        opened(),
        [
            step("started"),
            step("delta", offset=0, text="half of it"),
            step("recovering", code="ai_unavailable", retry_in_ms=500),
            step("delta", attempt=2, offset=0, text="new"),
            step("delta", attempt=1, offset=10, text=" late"),
        ],
    )
    run = state.run("r1")
    assert run is not None
    assert [(each.attempt, each.status, each.text) for each in run.steps] == [
        (1, StepStatus.RECOVERING, "half of it"),
        (2, StepStatus.RUNNING, "new"),
    ]


def test_the_first_delta_of_a_step_counts_though_the_step_before_took_more_attempts() -> None:
    state = folded(
        opened(),
        [
            step("completed", attempt=3, text="done"),
            step("delta", name="experience", offset=0, text="fresh"),
        ],
    )
    assert current_text(state) == "fresh"


def test_an_ended_run_stays_ended_whatever_passes_late() -> None:
    failed = step("failed", code="ai_rejected", message="No key.")
    state = folded(opened(), [step("started"), failed, step("delta", offset=0, text="late")])
    run = state.run("r1")
    assert run is not None
    assert (run.status, run.failure) == (ChatRunStatus.FAILED, ("ai_rejected", "No key."))
    assert state.running is None


def test_a_finished_run_puts_its_answer_into_the_thread_in_order() -> None:
    answer = message(1, role="chorus", author=None, content="so", run_id="r1")
    state = folded(
        opened(messages=[message(0)]),
        [
            step("finished", name="yield", message=answer),
            step("finished", name="yield", message=answer),
        ],
    )
    assert [each.content for each in state.messages] == ["text 0", "so"]


def test_catching_up_takes_the_partial_text_that_only_the_snapshot_has() -> None:
    run = {"run_id": "r1", "message_id": "m0", "status": "running", "step": "yield"}
    state = folded(
        opened(),
        [
            step("started", name="yield"),
            step("delta", name="yield", offset=0, text="one "),
            CaughtUp(snapshot(runs=[{**run, "text": "one two "}])),
            step("delta", name="yield", offset=8, text="three"),
        ],
    )
    assert current_text(state) == "one two three"


def test_a_run_that_ended_unseen_is_settled_by_a_fresh_snapshot() -> None:
    answered = message(1, role="chorus", author=None, run_id="r1")
    waiting = expect(expect(opened(), "r1", "m0"), "r2", "m0")
    state = fold(waiting, Opened(snapshot(messages=[message(0), answered])))
    statuses = {run.run_id: run.status for run in state.runs}
    assert statuses == {"r1": ChatRunStatus.FINISHED, "r2": ChatRunStatus.UNKNOWN}


def test_an_expected_run_does_not_hide_what_was_told_of_it() -> None:
    state = fold(opened(), step("started"))
    assert expect(state, "r1", "m0") == state


def test_only_who_may_still_vote_is_asked_to() -> None:
    pending = message(0, status="pending", electors=[ME, BOB])
    voted = {**pending, "approvals": [{"co_author": ME, "decision": "approve"}]}
    state = opened(messages=[pending])
    assert [each.index for each in state.to_vote_on] == [0]
    event = thread_event("vote_cast", by=ME, message_id="m0", message=voted)
    state = fold(state, event)
    assert state.to_vote_on == ()
    assert [each.index for each in state.pending] == [0]


def test_who_leaves_a_private_thread_sees_it_no_more() -> None:
    left = thread_event("co_author_left", by=ME, public_key=ME)
    assert fold(opened(messages=[message(0)]), left).thread is None
    other = thread_event("co_author_left", by=BOB, public_key=BOB)
    assert fold(opened(), other).thread is not None


def test_frames_of_another_thread_change_nothing() -> None:
    state = opened()
    stray = Live("thread-2", 1, step("started").body)
    assert fold(state, stray) == state
    assert fold(state, Gone("thread-2", "gone")) == state
    assert fold(state, Notice(thread_id="thread-2")) == state
    assert fold(state, Skipped("a frame")) == state


@pytest.mark.parametrize(
    "data",
    [
        {"status": "levitating", "run_id": "r1", "message_id": "m0"},
        {"status": "delta", "run_id": "r1", "message_id": "m0", "offset": "far"},
        {},
    ],
)
def test_a_frame_that_cannot_be_read_is_no_frame(data: dict[str, Any]) -> None:
    assert parse_live(Frame(type="chorus_response", data=data)) is None


def test_fields_and_steps_that_a_later_server_adds_are_borne() -> None:
    state = fold(opened(), step("started", name="dream", flavour={"new": [1]}))
    assert state.running is not None
    assert state.running.current is not None
    assert state.running.current.step == "dream"


def printed(*renderables: Any) -> str:
    console = Console(file=io.StringIO(), color_system=None, force_terminal=False, width=100)
    for renderable in renderables:
        console.print(pieces.Harmless(renderable))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_memory_that_could_not_be_searched_is_told_from_one_that_holds_nothing() -> None:
    state = opened()
    prior = {"message_id": "m0", "thread_id": THREAD, "content": "Rivers.", "score": 0.5}

    def shown(**data: Any) -> str:
        event = step("completed", name="experience", text="", **data)
        return printed(*render.scrollback(state, event, fold(state, event)))

    assert "no priors" in shown(priors=[], memory_available=True)
    assert "could not be searched" in shown(priors=[], memory_available=False)
    assert "no priors" not in shown(priors=[], memory_available=False)
    assert "Rivers." in shown(priors=[prior], memory_available=False), "of a pass before"


def test_a_step_whose_text_is_the_answer_shows_only_what_it_found() -> None:
    prior = {"message_id": "m0", "thread_id": THREAD, "content": "Rivers.", "score": 0.5}
    state = fold(opened(), step("started"))

    def shown(name: str, **data: Any) -> str:
        event = step("completed", name=name, text="The answer.", **data)
        return printed(*render.scrollback(state, event, fold(state, event)))

    assert shown("action", output={"step": "action", "enough": True}) == ""
    assert "The answer." in shown("action", output={"step": "action"})
    assert shown("yield") == ""
    searched = shown("yield", priors=[prior], memory_available=True)
    assert "Rivers." in searched
    assert "The answer." not in searched


def test_a_run_that_waits_is_told_once_until_the_next_entry() -> None:
    state, told = opened(), []
    waits = Notice(thread_id=THREAD, kind="storage_unavailable", message="The disk is full.")
    entry = step("completed", text="")
    for event in (waits, waits, step("delta", offset=0, text=""), waits, replace(entry, seq=7)):
        before, state = state, fold(state, event)
        told.append(printed(*render.scrollback(before, event, state)).strip())
    assert told[:4] == ["· The disk is full. The run waits.", "", "", ""]
    assert state.waits_because is None
    elsewhere = waits.model_copy(update={"thread_id": "thread-2"})
    assert fold(state, elsewhere) == state
    assert close(fold(state, waits)).waits_because is None


def test_a_notice_names_the_thread_that_it_is_about() -> None:
    listed = ChatThreadSummary(id="thread-2", name="Watering rota", visibility="private")
    user = ChatUser(id="u1", public_key=ME)
    state = fold(opened(), Online(user, (listed,), (), Model(), (), resumed=False))

    def told(thread_id: str, kind: str) -> str:
        event = Notice(thread_id=thread_id, kind=kind)
        return printed(*render.scrollback(state, event, fold(state, event))).strip()

    assert told("thread-2", "chorus_response").startswith("· Something new in “Watering rota”")
    assert told("thread-3", "chorus_response").startswith("· Something new in another thread")
    assert told("thread-3", "thread_created") == "", "it is one's own doing"


hostile = st.text(
    st.sampled_from("ab \n\t[]*_&#;x27\x1b\x9b\x07\r\x00\x7f\u202e\u2066\u2028\ud800\U000e0041"),
    max_size=40,
)


def harmless(text: str) -> bool:
    text.encode()  # a lone surrogate would raise
    return all(character in "\n\t" or character.isprintable() for character in text)


@given(hostile)
@settings(max_examples=60)
def test_nothing_that_a_terminal_obeys_is_printed(text: str) -> None:
    state = opened(names={BOB: text}, messages=[message(0, content=text)])
    answer = ChatMessage.model_validate(
        {
            **message(1, role="chorus", author=None, content=text),
            "citations": [{"label": text, "message_id": "m0", "thread_id": text}],
        }
    )
    spans = [{"public_key": key, "start": at, "end": at + 3} for at in (1, 5) for key in (ME, BOB)]
    mentioning = ChatMessage.model_validate(message(0, content=text, mentions=spans))
    item = ChatInboxItem(kind=text, thread_id=THREAD, thread_name=text, by_name=text, excerpt=text)
    prior = ChatPrior(message_id="m0", thread_id=THREAD, content=text, author=BOB, score=0.5)
    thread = ChatThread(id=text, name=text, visibility=text, status=text, co_authors=(BOB, text))
    events: list[ClientEvent] = [
        Offline(1, 0.5, text),
        Gone(THREAD, text),
        Skipped(text),
        Notice(thread_id=text, kind=text),
        Notice(thread_id=THREAD, kind="storage_unavailable", message=text),
        step("failed", code=text, message=text),
        step("recovering", name=text, code=text),
        step("completed", name=text, text=text, output={"key_insights": [text], "loop": True}),
        thread_event("message_submitted", by=BOB, message=message(2, content=text)),
    ]
    output = printed(
        pieces.note(text),
        pieces.problem(text),
        render.message(answer, state),
        render.message(state.messages[0], state),
        render.message(mentioning, state),
        listings.inbox([item], state),
        render.priors([prior], state),
        render.thread_header(thread, state),
        *(part for event in events for part in render.scrollback(state, event, fold(state, event))),
    )
    assert harmless(output), repr(output)
    assert harmless(one_line(text))
    assert "\n" not in one_line(text)


def test_markdown_cannot_bring_back_what_was_cleaned() -> None:
    output = printed(
        pieces.AnswerMarkdown("&#x1b;[31m &#x202e;abc [words](https://evil.example/x)")
    )
    assert harmless(output)
    assert "https://evil.example/x" in output


@pytest.mark.parametrize(
    "formula", [r"\(a_1 + b_1\)", r"\[x^2 * y^2\]", "$a_1 * b_1 * c$", "$$a_1 + b_1$$"]
)
def test_a_formula_is_printed_as_it_is_written(formula: str) -> None:
    assert f"The sum {formula} is small." in printed(
        pieces.AnswerMarkdown(f"The *sum* {formula} is **small**.")
    )


def test_words_that_look_like_markup_stay_words() -> None:
    assert "[bold]not bold[/bold]" in printed(pieces.note("[bold]not bold[/bold]"))
    assert "[red]x" in printed(Text(clean("[red]x")))


@given(st.text(max_size=30))
def test_whatever_is_typed_is_a_prompt_a_command_or_refused(line: str) -> None:
    if line.strip().startswith("/") and not line.strip().startswith("//"):
        with suppress(BadInput):
            command = parse(line)
            assert command is not None
            assert command.verb is not Verb.SAY
    elif line.strip():
        command = parse(line)
        assert command is not None
        assert command.verb is Verb.SAY
    else:
        assert parse(line) is None


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("  hello  ", Command(Verb.SAY, "hello")),
        ("//etc", Command(Verb.SAY, "/etc")),
        ("/NEW Big plans public", Command(Verb.NEW, "Big plans public")),
        ("/quit", Command(Verb.QUIT)),
    ],
)
def test_a_line_is_read_as_it_was_meant(line: str, command: Command) -> None:
    assert parse(line) == command


@pytest.mark.parametrize("verb", [verb for verb in USAGE if USAGE[verb].takes is not Takes.MAYBE])
def test_a_verb_is_refused_without_what_it_needs_or_with_what_it_does_not(verb: Verb) -> None:
    line = f"/{verb}" if USAGE[verb].takes is Takes.SOMETHING else f"/{verb} more"
    with pytest.raises(BadInput, match=f"/{verb}"):
        parse(line)
    with pytest.raises(BadInput, match="/help"):
        parse(f"/{verb}zzz")


def test_a_mention_of_oneself_stands_out_from_that_of_another() -> None:
    spans = [
        {"public_key": ME, "start": 2, "end": 6},
        {"public_key": BOB, "start": 2, "end": 6},
        {"public_key": BOB, "start": 11, "end": 15},
    ]
    shown = ChatMessage.model_validate(message(0, content="🙂 @Eve and @Bob", mentions=spans))
    screen = io.StringIO()
    console = Console(file=screen, width=60, force_terminal=True, color_system="standard")
    console.print(render.message(shown, opened(messages=[message(0)])))
    output = screen.getvalue()
    assert "\x1b[1;7m@Eve\x1b[0m" in output
    assert "\x1b[1m@Bob\x1b[0m" in output


def test_the_run_of_a_prompt_is_the_newest_one_that_is_no_fork_or_the_one_that_was_adopted() -> (
    None
):
    def queued(run_id: str, **more: str) -> Live:
        data = {"run_id": run_id, "message_id": "m0", "status": "queued", **more}
        return live("chorus_response", data)

    def run_of_the_prompt(state: ChatState) -> str | None:
        prompt = state.message("m0")
        assert prompt is not None
        return prompt.run_id

    state = folded(opened(messages=[message(0)]), [queued("r1"), queued("r2")])
    assert run_of_the_prompt(state) == "r2"
    state = fold(state, queued("r3", branch_id="b1"))
    assert run_of_the_prompt(state) == "r2"
    told_before_its_run = thread_event("vote_cast", message=message(0))
    assert run_of_the_prompt(fold(state, told_before_its_run)) == "r2"

    adopted = thread_event(
        "branch_adopted", prompt_id="m0", run_id="r3", message=message(1, run_id="r3")
    )
    while_away = folded(state, [Offline(1, 0.5, "it was cut"), adopted, CaughtUp(snapshot())])
    for after in (fold(state, adopted), while_away):
        assert run_of_the_prompt(after) == "r3"
