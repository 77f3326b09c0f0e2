"""The codec: what is written is read back the same, and each bad frame earns its own code."""

import json
import string
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from machines.models.blank import is_blank
from machines.models.domain import Role
from machines.models.errors import AIError, ErrorCode, InvalidTransition, RequestRefused
from machines.models.ids import MessageId, PublicKey, RequestId, RunId, ThreadId
from machines.models.keys import (
    decode_base58,
    decode_public_key,
    encode_base58,
    encode_public_key,
)
from machines.models.limits import MAX_CONTENT_LENGTH, MAX_NAME_LENGTH, MAX_SEQ
from machines.models.message import Decision, MessageStatus
from machines.models.outputs import (
    ActionOutput,
    Citation,
    ExperienceOutput,
    IntentionOutput,
    ObservationOutput,
    Prior,
    SelectedPrior,
    StepEnum,
    UpdateOutput,
    Usage,
    YieldOutput,
)
from machines.models.thread import ThreadStatus, Visibility
from machines.models.wire.frames import (
    AcceptedData,
    AcceptedFrame,
    ErrorData,
    ErrorFrame,
    EventsFrame,
    PongFrame,
    ThreadEventData,
    ThreadEventFrame,
    ThreadEventKind,
)
from machines.models.wire.request_base import MutatingRequest
from machines.models.wire.request_data import (
    NoData,
    SubmitPromptData,
)
from machines.models.wire.requests import (
    MUTATING,
    REQUESTS,
    ClientMessage,
    PingRequest,
    SubmitPromptRequest,
)
from machines.models.wire.run_frames import (
    ChorusResponseFrame,
    RunCancelledData,
    RunFailedData,
    RunFinishedData,
    RunQueuedData,
    StepCompletedData,
    StepDeltaData,
    StepRecoveringData,
    StepStartedData,
)
from machines.models.wire.views import ApprovalView, MessageView, ThreadView, TransitionView
from server.wire.codec import (
    DeltaEncoder,
    FrameError,
    decode_client_frame,
    decode_server_frame,
    encode_data,
    encode_events_page,
    encode_server_frame,
    envelope,
    error_frame,
)

THREAD: Final = ThreadId("6f1c0a52-8a55-4a53-9f0a-0d3c3a5d7a10")
MESSAGE: Final = MessageId("0b0f5b0e-51b5-4c0a-8f6e-3b8d8a1f2c11")
RUN: Final = RunId("c6a1f5de-0e3b-4b87-9a43-6a2f0a9d1e12")
KEY: Final = encode_public_key(bytes(range(32)))
SIGNATURE: Final = encode_base58(bytes(range(64)))

# --- Strategies ----------------------------------------------------------------------------------

uuids = st.uuids().map(str)
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
spoken = text.filter(lambda sample: not is_blank(sample))
names = st.text(string.ascii_letters + "äß漢字 😀", max_size=MAX_NAME_LENGTH).filter(str.strip)
keys = st.binary(min_size=32, max_size=32).map(encode_public_key)
seqs = st.integers(0, MAX_SEQ)
request_ids = st.text(string.ascii_letters + string.digits + "_-.:", min_size=1, max_size=64)
instants = st.integers(0, 7_000_000_000_000_000).map(
    lambda microseconds: datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds)
)


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


OF_THREAD: Final = {"thread_id": uuids}
OF_MESSAGE: Final = {**OF_THREAD, "message_id": uuids}
OF_RUN: Final = {**OF_THREAD, "run_id": uuids}
OF_BRANCH: Final = {**OF_THREAD, "branch_id": uuids}
DATA: Final[dict[str, dict[str, st.SearchStrategy[Any]]]] = {
    "connect": {"public_key": keys},
    "authenticate": {"signature": st.binary(min_size=64, max_size=64).map(encode_base58)},
    "resume": {"token": request_ids},
    "create_thread": {
        "name": names,
        "visibility": st.sampled_from(["private", "public"]),
        "user_id": optional(uuids),
    },
    "get_thread": {
        **OF_THREAD,
        "limit": st.integers(1, 200),
        "before_index": optional(seqs),
        "after_seq": optional(seqs),
        "epoch": optional(uuids),
    },
    "leave_thread": OF_THREAD,
    "get_events": {**OF_THREAD, "after_seq": seqs, "limit": st.integers(1, 1000)},
    "get_past": {**OF_THREAD, "at_seq": seqs, "limit": st.integers(1, 200)},
    "get_heat": {**OF_THREAD, "machine": st.sampled_from(["chorus", "message", "thread"])},
    "explain_run": {**OF_RUN, "after_seq": seqs},
    "explain_value": {**OF_THREAD, "value_id": uuids, "after_seq": seqs},
    "submit_prompt": {**OF_THREAD, "prompt": spoken, "supersedes": optional(uuids)},
    "cancel_run": OF_RUN,
    "retry_run": OF_RUN,
    "fork_run": {
        **OF_RUN,
        "step": st.sampled_from(["action", "observation", "yield"]),
        "iteration": st.integers(1, 9),
        "change": st.one_of(
            st.fixed_dictionaries(
                {"kind": st.sampled_from(["step_text", "prompt"]), "text": spoken}
            ),
            st.fixed_dictionaries({"kind": st.just("instructions"), "text": text}),
            st.fixed_dictionaries({"kind": st.just("model"), "model": names}),
        ),
    },
    "propose_adoption": OF_BRANCH,
    "vote_on_branch": {**OF_BRANCH, "decision": st.sampled_from(["approve", "reject"])},
    "discard_branch": OF_BRANCH,
    "compare_runs": {**OF_RUN, "other_run_id": uuids},
    "approve_message": OF_MESSAGE,
    "reject_message": {**OF_MESSAGE, "reason": optional(spoken)},
    "withdraw_message": OF_MESSAGE,
    "invite_co_author": {**OF_THREAD, "public_key": keys},
    "accept_invitation": OF_THREAD,
    "decline_invitation": OF_THREAD,
    "revoke_invitation": {**OF_THREAD, "public_key": keys},
    "create_invite_link": {
        **OF_THREAD,
        "expires_in_hours": st.integers(min_value=1, max_value=720),
    },
    "revoke_invite_link": {**OF_THREAD, "link_id": uuids},
    "view_invite_link": {"secret": request_ids},
    "accept_invite_link": {"secret": request_ids},
    "propose_removal": {**OF_THREAD, "public_key": keys},
    "vote_on_removal": {
        **OF_THREAD,
        "public_key": keys,
        "decision": st.sampled_from(["remove", "keep"]),
    },
    "withdraw_removal": {**OF_THREAD, "public_key": keys},
    "leave_co_authorship": OF_THREAD,
    "rename_thread": {**OF_THREAD, "name": names},
    "configure_thread": {
        **OF_THREAD,
        "instructions": st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=90),
        "model": optional(names),
    },
    "archive_thread": OF_THREAD,
    "list_threads": {
        "scope": st.sampled_from(["mine", "public", "invited"]),
        "after": optional(request_ids),
        "limit": st.integers(1, 200),
        "hidden": st.booleans(),
    },
    "get_inbox": {"after": optional(request_ids), "limit": st.integers(1, 200)},
    "mark_read": {**OF_THREAD, "seq": seqs},
    "hide_thread": {**OF_THREAD, "hidden": st.booleans()},
    "hide_message": {**OF_MESSAGE, "hidden": st.booleans()},
    "set_presence": {"shown": st.booleans()},
    "typing": OF_THREAD,
    "list_people": {},
    "search": {"query": spoken, "limit": st.integers(1, 80), "thread_id": optional(uuids)},
    "set_name": {"name": names},
    "sign_out": {},
    "ping": {},
}
frames = st.sampled_from(sorted(DATA)).flatmap(
    lambda request: st.fixed_dictionaries(
        {"type": st.just(request), "id": request_ids, "data": st.fixed_dictionaries(DATA[request])}
    )
)

priors = st.builds(
    Prior,
    message_id=uuids,
    thread_id=uuids,
    content=text,
    author=optional(keys),
    score=st.floats(-1, 1),
    created_at=instants,
)
shares = st.floats(0, 1)
texts = st.lists(text, max_size=3).map(tuple)
outputs = st.one_of(
    st.just(ActionOutput()),
    st.builds(ExperienceOutput, key_insights=texts, used=st.lists(uuids, max_size=2).map(tuple)),
    st.builds(
        IntentionOutput,
        explicit_intent=text,
        implicit_intent=text,
        confidence=shares,
        selected_priors=st.lists(
            st.builds(SelectedPrior, message_id=uuids, why=text), max_size=2
        ).map(tuple),
    ),
    st.builds(ObservationOutput, patterns=texts, gaps=texts, confidence=shares),
    st.builds(
        UpdateOutput,
        reasoning=text,
        loop=st.booleans(),
        next_query=optional(text),
        confidence=shares,
        key_insights=texts,
    ),
    st.builds(
        YieldOutput,
        citations=st.lists(
            st.builds(Citation, label=text, message_id=uuids, thread_id=uuids), max_size=2
        ).map(tuple),
    ),
)
transitions = st.lists(
    st.builds(
        TransitionView,
        machine=st.sampled_from(["chorus", "message", "connection", "thread"]),
        instance=uuids,
        event=text,
        source=text,
        target=text,
        edge=text,
    ),
    max_size=2,
).map(tuple)
about_run: Final[dict[str, Any]] = {
    "run_id": uuids,
    "message_id": uuids,
    "step": st.sampled_from(StepEnum),
    "iteration": st.integers(1, 9),
    "attempt": st.integers(1, 9),
    "transitions": transitions,
}
codes = st.sampled_from(ErrorCode)
messages = st.builds(
    MessageView,
    id=uuids,
    thread_id=uuids,
    index=st.integers(0, 99),
    role=st.sampled_from(Role),
    author=optional(keys),
    content=optional(text),
    html=optional(text),
    status=st.sampled_from(MessageStatus),
    approvals=st.lists(
        st.builds(
            ApprovalView,
            co_author=keys,
            decision=st.sampled_from(Decision),
            reason=optional(text),
            at=instants,
        ),
        max_size=2,
    ).map(tuple),
    expires_at=optional(instants),
    version=st.integers(1, 9),
    created_at=instants,
    updated_at=instants,
)
threads = st.builds(
    ThreadView,
    id=uuids,
    name=names,
    visibility=st.sampled_from(Visibility),
    status=st.sampled_from(ThreadStatus),
    co_authors=st.lists(keys, min_size=1, max_size=2).map(tuple),
    token_balance=st.integers(0, 99),
    version=st.integers(1, 9),
    message_count=st.integers(0, 99),
    created_at=instants,
    updated_at=instants,
)
run_data = st.one_of(
    st.builds(RunQueuedData, **about_run),
    st.builds(StepStartedData, **about_run),
    st.builds(StepDeltaData, **about_run, offset=st.integers(0, 99), text=text),
    st.builds(
        StepCompletedData,
        **about_run,
        text=text,
        output=outputs,
        priors=optional(st.lists(priors, max_size=2).map(tuple)),
        usage=optional(st.builds(Usage, total_tokens=st.integers(0, 99))),
    ),
    st.builds(
        StepRecoveringData,
        **about_run,
        code=codes,
        retry_in_ms=st.integers(0, 9999),
        partial=optional(text),
    ),
    st.builds(RunFinishedData, **about_run, message_id_of_answer=uuids, message=messages),
    st.builds(RunFailedData, **about_run, code=codes, message=text, partial=optional(text)),
    st.builds(RunCancelledData, **about_run, by=optional(keys)),
)
live_frames = st.one_of(
    st.builds(ChorusResponseFrame, thread_id=uuids, seq=optional(seqs), data=run_data),
    st.builds(
        ThreadEventFrame,
        thread_id=uuids,
        seq=seqs,
        data=st.builds(
            ThreadEventData,
            kind=st.sampled_from(ThreadEventKind),
            at=instants,
            by=optional(keys),
            message_id=optional(uuids),
            run_id=optional(uuids),
            public_key=optional(keys),
            message=optional(messages),
            thread=optional(threads),
            transitions=transitions,
        ),
    ),
)


def refusal_of(raw: str | bytes) -> FrameError:
    with pytest.raises(FrameError) as caught:
        decode_client_frame(raw)
    return caught.value


def frame(request: str, **data: object) -> str:
    return json.dumps({"type": request, "id": "r1", "data": data})


# --- Good requests -------------------------------------------------------------------------------


def test_the_strategies_know_every_request() -> None:
    assert set(DATA) == set(REQUESTS), "give DATA a strategy for each request of the protocol"


@given(frames)
@settings(max_examples=150, deadline=None)
def test_a_good_frame_is_read_back_as_it_was_written(sent: dict[str, Any]) -> None:
    message = decode_client_frame(json.dumps(sent))
    assert isinstance(message, REQUESTS[sent["type"]])
    assert message.id == sent["id"]
    for field, value in sent["data"].items():
        read = getattr(message.data, field)
        read = read.model_dump() if isinstance(read, BaseModel) else read
        assert read == (value.strip() if field == "name" else value)
    again = decode_client_frame(message.model_dump_json().encode())
    assert again == message


@given(frames)
@settings(max_examples=50, deadline=None)
def test_unknown_fields_are_ignored_wherever_they_stand(sent: dict[str, Any]) -> None:
    plain = decode_client_frame(json.dumps(sent))
    added = {**sent, "later": [1], "data": {**sent["data"], "later": {"deep": None}}}
    assert decode_client_frame(json.dumps(added)) == plain


def test_the_requests_that_change_something_are_the_ones_that_may_be_repeated() -> None:
    assert {
        "create_thread",
        "submit_prompt",
        "cancel_run",
        "retry_run",
        "fork_run",
        "propose_adoption",
        "vote_on_branch",
        "discard_branch",
        "approve_message",
        "reject_message",
        "withdraw_message",
        "invite_co_author",
        "accept_invitation",
        "decline_invitation",
        "revoke_invitation",
        "create_invite_link",
        "revoke_invite_link",
        "accept_invite_link",
        "propose_removal",
        "vote_on_removal",
        "withdraw_removal",
        "leave_co_authorship",
        "rename_thread",
        "configure_thread",
        "archive_thread",
        "mark_read",
        "hide_thread",
        "hide_message",
        "set_presence",
        "set_name",
    } == MUTATING


def test_a_prompt_that_supersedes_nothing_has_the_fingerprint_of_earlier_versions() -> None:
    message = decode_client_frame(frame("submit_prompt", thread_id=THREAD, prompt="Why?"))
    assert isinstance(message, MutatingRequest)
    earlier = {"type": "submit_prompt", "data": {"thread_id": THREAD, "prompt": "Why?"}}
    written = json.dumps(earlier, separators=(",", ":"))
    assert message.fingerprint() == sha256(written.encode()).hexdigest()


def test_defaults_are_filled_in() -> None:
    message: Any = decode_client_frame(frame("get_thread", thread_id=THREAD))
    assert (message.data.limit, message.data.before_index, message.data.after_seq) == (
        50,
        None,
        None,
    )
    created: Any = decode_client_frame(frame("create_thread", name="  Plans "))
    assert (created.data.name, created.data.visibility) == ("Plans", "private")


def test_two_sendings_of_one_request_share_a_fingerprint_and_other_requests_do_not() -> None:
    def fingerprint(raw: str) -> str:
        message = decode_client_frame(raw)
        assert isinstance(message, MutatingRequest)
        return message.fingerprint()

    short = frame("create_thread", name="Plans")
    written_out = (
        '{"data":{"visibility":"private","name":"Plans "},"id":"r2","type":"create_thread"}'
    )
    assert fingerprint(short) == fingerprint(written_out)
    assert fingerprint(short) != fingerprint(frame("create_thread", name="Plan"))
    assert fingerprint(frame("cancel_run", thread_id=THREAD, run_id=RUN)) != fingerprint(
        frame("retry_run", thread_id=THREAD, run_id=RUN)
    )


def test_a_prompt_is_kept_as_it_was_typed() -> None:
    prompt = "  two\n\tlines, NaN and Infinity 😀 "
    message = decode_client_frame(frame("submit_prompt", thread_id=THREAD, prompt=prompt))
    assert message == SubmitPromptRequest(
        id=RequestId("r1"), data=SubmitPromptData(thread_id=THREAD, prompt=prompt)
    )


def test_the_last_of_repeated_keys_counts() -> None:
    message = decode_client_frame('{"type":"x","id":"a","id":"b","type":"ping","data":{}}')
    assert message == PingRequest(id=RequestId("b"), data=NoData())


@pytest.mark.parametrize("length", [1, MAX_CONTENT_LENGTH])
def test_prompts_up_to_the_limit_pass(length: int) -> None:
    decode_client_frame(frame("submit_prompt", thread_id=THREAD, prompt="é" * length))


@pytest.mark.parametrize("name", ["a", "é" * MAX_NAME_LENGTH, " x ", "👩‍👩‍👧", "नमस्ते"])
def test_names_of_every_script_pass(name: str) -> None:
    message: Any = decode_client_frame(frame("set_name", name=name))
    assert message.data.name == name.strip()


# --- Bad JSON ------------------------------------------------------------------------------------

BAD_JSON: Final[dict[str, str | bytes]] = {
    "nothing": "",
    "no JSON": "hello",
    "cut short": '{"type":"ping","id":"1","data":{}',
    "two values": '{"type":"ping","id":"1","data":{}}{}',
    "single quotes": "{'type':'ping','id':'1','data':{}}",
    "a raw line feed in a string": '{"type":"ping","id":"1\n","data":{}}',
    "NaN where nobody reads": '{"type":"ping","id":"1","data":{"x":NaN}}',
    "Infinity where nobody reads": '{"type":"ping","id":"1","data":{},"x":[Infinity]}',
    "-Infinity in bytes": b'{"type":"ping","id":"1","data":{"x":-Infinity}}',
    "NaN where something is wrong as well": '{"type":"nope","id":"1","data":{"x":NaN}}',
    "bytes that are no UTF-8": b'{"type":"ping","id":"1","data":{"x":"\xff"}}',
    "UTF-16": '{"type":"ping","id":"1","data":{}}'.encode("utf-16"),
    "a byte order mark": "\ufeff" + '{"type":"ping","id":"1","data":{}}',
    "a leading surrogate": r'{"type":"ping","id":"1","data":{"x":"\ud800"}}',
    "a trailing surrogate": r'{"type":"ping","id":"1","data":{"x":"\udc00 "}}',
    "surrogates the wrong way round": r'{"type":"ping","id":"1","data":{"x":"\udc00\ud800"}}',
    "a surrogate as a key": r'{"type":"ping","id":"1","data":{"\ud83d":1}}',
    "a surrogate in the id": r'{"type":"ping","id":"\udfff","data":{}}',
    "a surrogate that was decoded": '{"type":"ping","id":"1","data":{"x":"\ud800"}}',
    "a surrogate in UTF-8 bytes": b'{"type":"ping","id":"1","data":{"x":"\xed\xa0\x80"}}',
    "a bomb of lists": "[" * 60_000,
    "a bomb of objects": '{"a":' * 10_000,
    "a closed bomb where nobody reads": (
        '{"type":"ping","id":"1","data":{"x":' + "[" * 5_000 + "]" * 5_000 + "}}"
    ),
    "a number without end": '{"type":"ping","id":"1","data":{"x":' + "9" * 6_000 + "}}",
}


@pytest.mark.parametrize("raw", BAD_JSON.values(), ids=BAD_JSON.keys())
def test_what_is_no_json_is_bad_json_without_an_id(raw: str | bytes) -> None:
    refusal = refusal_of(raw)
    assert (refusal.code, refusal.re, refusal.details) == (ErrorCode.BAD_JSON, None, None)


def test_a_pair_of_surrogates_is_one_character() -> None:
    raw = frame("submit_prompt", thread_id=THREAD, prompt="😀")
    assert r"\ud83d\ude00" in raw
    message: Any = decode_client_frame(raw)
    assert message.data.prompt == "😀"


@given(st.binary(max_size=200) | st.text(max_size=200))
@settings(max_examples=150, deadline=None)
def test_no_input_whatever_gets_more_than_a_refusal(raw: str | bytes) -> None:
    assert refusal_of(raw).code in {ErrorCode.BAD_JSON, ErrorCode.BAD_FRAME}


# --- Bad frames ----------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", ["[]", "null", "true", "7", '"ping"', "1e999"])
def test_what_is_no_object_is_a_bad_frame(raw: str) -> None:
    refusal = refusal_of(raw)
    assert (refusal.code, refusal.re) == (ErrorCode.BAD_FRAME, None)


@pytest.mark.parametrize(
    "bad_id", [None, 7, "", "a b", "ä", "a\n", "x" * 65, ["a"], {"a": 1}, True, '"'], ids=repr
)
def test_a_frame_without_a_valid_id_is_a_bad_frame_that_answers_nothing(bad_id: object) -> None:
    refusal = refusal_of(json.dumps({"type": "ping", "id": bad_id, "data": {}}))
    assert (refusal.code, refusal.re) == (ErrorCode.BAD_FRAME, None)
    assert refusal.details is not None
    assert refusal.details["field"] == "id"


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"id": "r1", "data": {}}, "type"),
        ({"type": 7, "id": "r1", "data": {}}, "type"),
        ({"type": ["ping"], "id": "r1", "data": {}}, "type"),
        ({"type": "ping", "id": "r1"}, "data"),
        ({"type": "ping", "id": "r1", "data": None}, "data"),
        ({"type": "ping", "id": "r1", "data": []}, "data"),
        ({"type": "ping", "id": "r1", "data": "{}"}, "data"),
        ({"type": "nope", "id": "r1"}, "data"),
    ],
    ids=repr,
)
def test_a_frame_that_lacks_a_part_is_a_bad_frame(sent: dict[str, object], field: str) -> None:
    refusal = refusal_of(json.dumps(sent))
    assert (refusal.code, refusal.re) == (ErrorCode.BAD_FRAME, "r1")
    assert refusal.details is not None
    assert refusal.details["field"] == field


@pytest.mark.parametrize("request_type", ["", "nope", "PING", "hello", "ping "])
def test_a_type_that_no_request_has_is_an_unknown_type(request_type: str) -> None:
    refusal = refusal_of(frame(request_type))
    assert (refusal.code, refusal.re) == (ErrorCode.UNKNOWN_TYPE, "r1")


# --- Bad fields ----------------------------------------------------------------------------------

UPPER: Final = THREAD.upper()
BAD_FIELDS: Final[list[tuple[str, dict[str, object], str, str]]] = [
    ("connect", {}, "public_key", "is missing"),
    ("connect", {"public_key": 7}, "public_key", "must be a string"),
    ("connect", {"public_key": ""}, "public_key", "must be base58 of 32 bytes"),
    ("connect", {"public_key": "1" * 31}, "public_key", "must be base58 of 32 bytes"),
    ("connect", {"public_key": "1" * 33}, "public_key", "must be base58 of 32 bytes"),
    ("connect", {"public_key": "1" + KEY}, "public_key", "must be base58 of 32 bytes"),
    ("connect", {"public_key": KEY + " "}, "public_key", "must be base58 of 32 bytes"),
    ("connect", {"public_key": KEY[:-1] + "0"}, "public_key", "must be base58 of 32 bytes"),
    ("connect", {"public_key": "z" * 44}, "public_key", "must be base58 of 32 bytes"),
    ("connect", {"public_key": "z" * 60_000}, "public_key", "must be base58 of 32 bytes"),
    ("authenticate", {"signature": KEY}, "signature", "must be base58 of 64 bytes"),
    ("authenticate", {"signature": "1" + SIGNATURE}, "signature", "must be base58 of 64 bytes"),
    ("resume", {"token": ""}, "token", "must not be blank"),
    ("resume", {"token": "x" * 257}, "token", "must have at most 256 characters"),
    ("create_thread", {}, "name", "is missing"),
    ("create_thread", {"name": None}, "name", "must be a string"),
    ("create_thread", {"name": " \t\n"}, "name", "must not be blank"),
    ("create_thread", {"name": "\u200b\u200b"}, "name", "must not be blank"),
    ("create_thread", {"name": "\u3164"}, "name", "must not be blank"),
    ("set_name", {"name": "\u2800\u034f"}, "name", "must not be blank"),
    ("create_thread", {"name": "x" * 81}, "name", "must have at most 80 characters"),
    ("create_thread", {"name": "a\nb"}, "name", "must hold no control characters"),
    ("create_thread", {"name": "a\0b"}, "name", "must hold no control characters"),
    ("create_thread", {"name": "a\u202eb"}, "name", "must hold no control characters"),
    (
        "create_thread",
        {"name": "x", "visibility": "secret"},
        "visibility",
        "must be 'private' or 'public'",
    ),
    ("create_thread", {"name": "x", "user_id": "me"}, "user_id", "must be a lower-case UUID"),
    ("get_thread", {}, "thread_id", "is missing"),
    ("get_thread", {"thread_id": UPPER}, "thread_id", "must be a lower-case UUID"),
    ("get_thread", {"thread_id": THREAD + "\n"}, "thread_id", "must be a lower-case UUID"),
    ("get_thread", {"thread_id": THREAD, "limit": 0}, "limit", "must be at least 1"),
    ("get_thread", {"thread_id": THREAD, "limit": 201}, "limit", "must be at most 200"),
    ("get_thread", {"thread_id": THREAD, "limit": "7"}, "limit", "must be a whole number"),
    ("get_thread", {"thread_id": THREAD, "limit": True}, "limit", "must be a whole number"),
    ("get_thread", {"thread_id": THREAD, "limit": 7.5}, "limit", "must be a whole number"),
    ("get_thread", {"thread_id": THREAD, "after_seq": -1}, "after_seq", "must be at least 0"),
    ("get_thread", {"thread_id": THREAD, "before_index": -1}, "before_index", "must be at least 0"),
    (
        "get_thread",
        {"thread_id": THREAD, "after_seq": 10**30},
        "after_seq",
        f"must be at most {MAX_SEQ}",
    ),
    ("get_events", {"thread_id": THREAD}, "after_seq", "is missing"),
    (
        "get_events",
        {"thread_id": THREAD, "after_seq": 0, "limit": 1001},
        "limit",
        "must be at most 1000",
    ),
    ("submit_prompt", {"thread_id": THREAD}, "prompt", "is missing"),
    (
        "submit_prompt",
        {"thread_id": THREAD, "prompt": "x", "supersedes": "x"},
        "supersedes",
        "must be a lower-case UUID",
    ),
    ("submit_prompt", {"thread_id": THREAD, "prompt": ""}, "prompt", "must not be blank"),
    ("submit_prompt", {"thread_id": THREAD, "prompt": "\u200b"}, "prompt", "must not be blank"),
    ("submit_prompt", {"thread_id": THREAD, "prompt": "\u2800"}, "prompt", "must not be blank"),
    ("submit_prompt", {"thread_id": THREAD, "prompt": "\ufeff"}, "prompt", "must not be blank"),
    ("search", {"query": "\u3164"}, "query", "must not be blank"),
    ("submit_prompt", {"thread_id": THREAD, "prompt": " \n\u2003"}, "prompt", "must not be blank"),
    (
        "submit_prompt",
        {"thread_id": THREAD, "prompt": "a\0"},
        "prompt",
        "must not contain the character U+0000",
    ),
    ("submit_prompt", {"thread_id": THREAD, "prompt": ["a"]}, "prompt", "must be a string"),
    ("cancel_run", {"thread_id": THREAD}, "run_id", "is missing"),
    ("retry_run", {"thread_id": THREAD, "run_id": 1}, "run_id", "must be a string"),
    ("approve_message", {"thread_id": THREAD}, "message_id", "is missing"),
    (
        "reject_message",
        {"thread_id": THREAD, "message_id": MESSAGE, "reason": " "},
        "reason",
        "must not be blank",
    ),
    (
        "reject_message",
        {"thread_id": THREAD, "message_id": MESSAGE, "reason": "x" * 1001},
        "reason",
        "must have at most 1000 characters",
    ),
    (
        "invite_co_author",
        {"thread_id": THREAD, "public_key": "x"},
        "public_key",
        "must be base58 of 32 bytes",
    ),
    ("rename_thread", {"thread_id": THREAD, "name": ""}, "name", "must not be blank"),
    ("configure_thread", {"thread_id": THREAD, "model": None}, "instructions", "is missing"),
    ("configure_thread", {"thread_id": THREAD, "instructions": ""}, "model", "is missing"),
    (
        "configure_thread",
        {"thread_id": THREAD, "instructions": "x" * 4001, "model": None},
        "instructions",
        "must have at most 4000 characters",
    ),
    (
        "configure_thread",
        {"thread_id": THREAD, "instructions": "a\0b", "model": None},
        "instructions",
        "must not contain the character U+0000",
    ),
    (
        "configure_thread",
        {"thread_id": THREAD, "instructions": "", "model": " "},
        "model",
        "must not be blank",
    ),
    ("list_threads", {}, "scope", "is missing"),
    ("list_threads", {"scope": "all"}, "scope", "must be 'mine', 'public' or 'invited'"),
    ("get_inbox", {"limit": 0}, "limit", "must be at least 1"),
    ("mark_read", {"thread_id": THREAD}, "seq", "is missing"),
    ("hide_thread", {"thread_id": THREAD}, "hidden", "is missing"),
    ("search", {"query": ""}, "query", "must not be blank"),
    ("search", {"query": "x" * 2001}, "query", "must have at most 2000 characters"),
    ("search", {"query": "x", "limit": 81}, "limit", "must be at most 80"),
    ("set_name", {"name": 7}, "name", "must be a string"),
]


@pytest.mark.parametrize(
    ("request_type", "data", "field", "problem"),
    BAD_FIELDS,
    ids=[f"{request}-{field}-{n}" for n, (request, _, field, _) in enumerate(BAD_FIELDS)],
)
def test_a_bad_field_is_named_with_its_problem(
    request_type: str, data: dict[str, object], field: str, problem: str
) -> None:
    refusal = refusal_of(frame(request_type, **data))
    assert (refusal.code, refusal.re) == (ErrorCode.INVALID_FIELD, "r1")
    assert refusal.details == {"field": field, "problem": problem}
    assert refusal.message == f"The field {field} {problem}."


@pytest.mark.parametrize("prompt", ["x" * 32_001, " " * 32_001, "é" * 60_000])
def test_a_prompt_over_its_limit_is_too_large(prompt: str) -> None:
    refusal = refusal_of(frame("submit_prompt", thread_id=THREAD, prompt=prompt))
    assert (refusal.code, refusal.re) == (ErrorCode.TOO_LARGE, "r1")
    assert refusal.details == {"field": "prompt", "problem": "must have at most 32000 characters"}


@given(spoken.filter(lambda value: len(value) > 5))
@settings(max_examples=50, deadline=None)
def test_a_refusal_never_repeats_what_was_sent(value: str) -> None:
    mark = f"canary{value}"
    for raw in (
        frame(mark),
        frame("connect", public_key=mark),
        frame("get_thread", thread_id=mark),
        frame("list_threads", scope=mark),
        json.dumps({"type": "ping", "id": mark + " ", "data": {}}),
    ):
        assert "canary" not in encode_server_frame(error_frame(refusal_of(raw)))


# --- Keys ----------------------------------------------------------------------------------------


@given(st.binary(max_size=70))
@settings(deadline=None)
def test_base58_gives_the_bytes_back(data: bytes) -> None:
    assert decode_base58(encode_base58(data), len(data)) == data


@given(st.text("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", max_size=50))
@settings(deadline=None)
def test_no_two_texts_name_the_same_key(key: str) -> None:
    try:
        data = decode_public_key(PublicKey(key))
    except ValueError:
        return
    assert encode_public_key(data) == key


def test_base58_spells_the_published_examples() -> None:
    assert encode_base58(b"Hello World!") == "2NEpo7TZRRrLZSi2U"
    assert encode_base58(b"\0\0\x28\x7f\xb4\xcd") == "11233QC4"
    assert encode_public_key(bytes(32)) == "1" * 32


@pytest.mark.parametrize("space", [" ", "\t", "\n", "\u00a0"])
def test_white_space_around_a_key_makes_it_another_text(space: str) -> None:
    for text in (f"{KEY}{space}", f"{space}{KEY}", f"{KEY[:20]}{space}{KEY[20:]}"):
        with pytest.raises(ValueError, match="must be base58 of 32 bytes"):
            decode_base58(text, 32)


def test_a_key_of_another_size_has_no_name() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        encode_public_key(bytes(31))


# --- Server frames -------------------------------------------------------------------------------


@given(live_frames)
@settings(max_examples=150, deadline=None)
def test_a_live_frame_survives_the_journal_and_the_wire(
    live: ChorusResponseFrame | ThreadEventFrame,
) -> None:
    assert type(live).model_validate_json(live.model_dump_json()) == live
    assert decode_server_frame(encode_server_frame(live)) == live


@given(live_frames)
@settings(max_examples=50, deadline=None)
def test_encoding_in_parts_says_what_the_model_says(
    live: ChorusResponseFrame | ThreadEventFrame,
) -> None:
    whole = json.loads(live.model_dump_json())
    assert json.loads(encode_server_frame(live)) == whole
    in_parts = envelope(live.type, encode_data(live), thread_id=live.thread_id, seq=live.seq)
    assert json.loads(in_parts) == whole


@given(st.text(st.characters(codec="utf-8")), st.integers(0, 200_000))
@settings(max_examples=150, deadline=None)
def test_a_delta_is_encoded_as_every_other_frame_whatever_its_text(text: str, offset: int) -> None:
    delta = StepDeltaData(
        run_id=RUN,
        message_id=MESSAGE,
        step=StepEnum.YIELD,
        iteration=2,
        attempt=3,
        offset=offset,
        text=text,
    )
    encoder = DeltaEncoder(THREAD, delta.model_copy(update={"offset": 7, "text": '0,"text":""'}))
    frame = ChorusResponseFrame(thread_id=THREAD, data=delta)
    assert encoder.encode(offset, text) == encode_server_frame(frame)


@given(st.lists(live_frames, max_size=3))
@settings(max_examples=30, deadline=None)
def test_a_page_of_events_is_made_of_frames_that_are_text_already(
    entries: list[ChorusResponseFrame | ThreadEventFrame],
) -> None:
    page = decode_server_frame(
        encode_events_page(
            [encode_server_frame(entry) for entry in entries],
            re=RequestId("r1"),
            thread_id=THREAD,
            head_seq=9,
            has_more=True,
        )
    )
    assert isinstance(page, EventsFrame)
    assert page.re == "r1"
    assert (page.data.entries, page.data.head_seq, page.data.has_more) == (tuple(entries), 9, True)


def test_keys_that_hold_nothing_are_left_out_only_where_the_protocol_says_so() -> None:
    assert encode_server_frame(PongFrame()) == '{"type":"pong","re":null,"data":{}}'
    error = ErrorFrame(data=ErrorData(code=ErrorCode.INTERNAL, message="Oh.", retryable=False))
    assert json.loads(encode_server_frame(error, re=RequestId("r1"))) == {
        "type": "error",
        "re": "r1",
        "data": {"code": "internal", "message": "Oh.", "retryable": False},
    }
    accepted = AcceptedFrame(thread_id=THREAD, seq=4, data=AcceptedData(thread_id=THREAD, seq=4))
    assert json.loads(encode_server_frame(accepted)) == {
        "type": "accepted",
        "re": None,
        "thread_id": THREAD,
        "seq": 4,
        "data": {"thread_id": THREAD, "seq": 4, "message_id": None, "run_id": None},
    }


def test_times_are_written_in_utc() -> None:
    at = datetime(2026, 3, 1, 12, 30, tzinfo=timezone(timedelta(hours=2)))
    event = ThreadEventData(kind=ThreadEventKind.THREAD_ARCHIVED, at=at, by=None)
    assert json.loads(event.model_dump_json())["at"] == "2026-03-01T10:30:00Z"


def test_a_time_without_a_zone_is_refused() -> None:
    naive = datetime(2026, 3, 1)  # noqa: DTZ001 - that is the point
    with pytest.raises(ValidationError, match="timezone"):
        ThreadEventData(kind=ThreadEventKind.THREAD_ARCHIVED, at=naive, by=None)


def test_frames_are_frozen() -> None:
    message: ClientMessage = PingRequest(id=RequestId("r1"), data=NoData())
    for value in (message, PongFrame()):
        with pytest.raises(ValidationError, match="frozen"):
            value.id = "r2"  # type: ignore[union-attr,misc]


def test_an_error_tells_what_its_kind_knows_and_keeps_the_detail() -> None:
    refused = InvalidTransition(
        "No.", machine="message", state="pending", event="approve", guards=("is_elector",)
    )
    assert error_frame(refused).data.details == {
        "machine": "message",
        "state": "pending",
        "event": "approve",
        "guards": ["is_elector"],
        "allowed": [],
    }
    busy = RequestRefused(
        ErrorCode.THREAD_BUSY, "Wait.", details={"waiting": 16}, retry_after_ms=900, retryable=True
    )
    assert json.loads(encode_data(error_frame(busy))) == {
        "code": "thread_busy",
        "message": "Wait.",
        "retryable": True,
        "retry_after_ms": 900,
        "details": {"waiting": 16},
    }
    secret = AIError("The model gave no answer.", detail="upstream said: key sk-1")
    assert "sk-1" not in encode_server_frame(error_frame(secret))


def test_the_ids_of_these_tests_are_uuids() -> None:
    for name in (THREAD, MESSAGE, RUN):
        assert str(UUID(name)) == name
