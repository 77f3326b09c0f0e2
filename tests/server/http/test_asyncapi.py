"""`/asyncapi.json`: it lists the whole protocol, hangs together, and describes real frames."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest

from machines.models.errors import ErrorCode
from machines.models.ids import RequestId
from machines.models.limits import MAX_CONTENT_LENGTH
from machines.models.wire.envelope import ServerFrame
from machines.models.wire.frames import (
    SERVER_FRAMES,
    AcceptedData,
    AcceptedFrame,
    ErrorData,
    ErrorFrame,
    PongFrame,
)
from machines.models.wire.request_data import NoData
from machines.models.wire.requests import REQUESTS, PingRequest
from server.http.asyncapi import UNASKED, asyncapi_document
from server.wire.codec import encode_server_frame

DOCUMENT: Final = asyncapi_document("http://127.0.0.1:8080")


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref":
                yield item
            else:
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def resolve(reference: str, document: dict[str, Any] = DOCUMENT) -> Any:
    """What `reference` points at, through further references."""
    assert reference.startswith("#/"), f"{reference} leads out of the document"
    place: Any = document
    for part in reference.removeprefix("#/").split("/"):
        assert part in place, f"{reference} points at nothing"
        place = place[part]
    return resolve(place["$ref"], document) if set(place) == {"$ref"} else place


def payload(message: str) -> Any:
    return resolve(DOCUMENT["components"]["messages"][message]["payload"]["$ref"])


def test_every_frame_of_the_protocol_is_a_message_of_the_channel() -> None:
    channel = DOCUMENT["channels"]["chorus"]
    assert set(channel["messages"]) == set(REQUESTS) | set(SERVER_FRAMES)
    assert channel["address"] == "/ws"
    for name in channel["messages"]:
        assert payload(name)["properties"]["type"]["const"] == name
        assert DOCUMENT["components"]["messages"][name]["summary"]


@pytest.mark.parametrize("name", REQUESTS)
def test_every_request_is_received_and_answered_by_its_reply_or_an_error(name: str) -> None:
    operation = DOCUMENT["operations"][name]
    assert operation["action"] == "receive"
    sent = [resolve(message["$ref"])["name"] for message in operation["messages"]]
    replies = [resolve(message["$ref"])["name"] for message in operation["reply"]["messages"]]
    assert (sent, replies) == ([name], [REQUESTS[name].reply, "error"])
    assert REQUESTS[name].reply in SERVER_FRAMES


def test_frames_that_nobody_asks_for_are_sent() -> None:
    sent = {name for name, one in DOCUMENT["operations"].items() if one["action"] == "send"}
    assert sent == {f"send_{name}" for name in UNASKED}
    replies = {request.reply for request in REQUESTS.values()}
    assert set(SERVER_FRAMES) == replies | set(UNASKED), "a frame that is neither sent nor a reply"


def test_every_reference_resolves() -> None:
    found = set(references(DOCUMENT))
    assert found
    for reference in found:
        resolve(reference)


def test_every_schema_is_used() -> None:
    used = {
        reference.rsplit("/", 1)[1]
        for reference in references(DOCUMENT)
        if reference.startswith("#/components/schemas/")
    }
    assert set(DOCUMENT["components"]["schemas"]) == used


def test_it_has_what_asyncapi_3_requires() -> None:
    assert re.fullmatch(r"3\.0\.\d+", DOCUMENT["asyncapi"])
    assert {"title", "version"} <= set(DOCUMENT["info"])
    for server in DOCUMENT["servers"].values():
        assert {"host", "protocol"} <= set(server)
    for operation in DOCUMENT["operations"].values():
        assert operation["action"] in {"send", "receive"}
        assert operation["channel"] == {"$ref": "#/channels/chorus"}
        for message in operation["messages"]:
            assert message["$ref"].startswith("#/channels/chorus/messages/"), (
                "an operation names messages through its channel"
            )
    names = [*DOCUMENT["channels"], *DOCUMENT["operations"], *DOCUMENT["components"]["schemas"]]
    assert all(re.fullmatch(r"[A-Za-z0-9_.\-]+", name) for name in names)
    assert not any("$defs" in schema for schema in DOCUMENT["components"]["schemas"].values())
    assert '"discriminator"' not in json.dumps(DOCUMENT)


def test_it_is_json_and_always_the_same() -> None:
    again = asyncapi_document("http://127.0.0.1:8080")
    assert json.dumps(again) == json.dumps(DOCUMENT)
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT


@pytest.mark.parametrize(
    ("url", "host", "protocol", "pathname"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080", "ws", "/"),
        ("https://chorus.example.org/", "chorus.example.org", "wss", "/"),
        ("http://[::1]:9000", "[::1]:9000", "ws", "/"),
        ("https://example.org/chorus/", "example.org", "wss", "/chorus"),
    ],
)
def test_the_server_is_the_configured_address(
    url: str, host: str, protocol: str, pathname: str
) -> None:
    server = asyncapi_document(url)["servers"]["chorus"]
    assert (server["host"], server["protocol"], server["pathname"]) == (host, protocol, pathname)


def test_the_bounds_of_fields_are_told() -> None:
    data = resolve(payload("submit_prompt")["properties"]["data"]["$ref"])
    assert data["properties"]["prompt"]["maxLength"] == MAX_CONTENT_LENGTH
    assert data["required"] == ["thread_id", "prompt"]
    page = resolve(payload("get_thread")["properties"]["data"]["$ref"])["properties"]["limit"]
    assert (page["minimum"], page["maximum"], page["default"]) == (1, 200, 50)


@pytest.mark.parametrize(
    "frame",
    [
        PongFrame(),
        AcceptedFrame(data=AcceptedData()),
        ErrorFrame(data=ErrorData(code=ErrorCode.INTERNAL, message="Oh.", retryable=False)),
        ErrorFrame(
            seq=None,
            data=ErrorData(
                code=ErrorCode.RATE_LIMITED, message="Oh.", retryable=True, retry_after_ms=10
            ),
        ),
    ],
    ids=repr,
)
def test_a_frame_has_the_keys_that_its_schema_requires_and_no_other(frame: ServerFrame) -> None:
    sent = json.loads(encode_server_frame(frame))
    schema = payload(frame.type)
    for value, shape in (
        (sent, schema),
        (sent["data"], resolve(schema["properties"]["data"]["$ref"])),
    ):
        assert set(shape.get("required", ())) <= set(value) <= set(shape["properties"])


def test_a_request_must_say_its_type_id_and_data() -> None:
    for name in REQUESTS:
        assert set(payload(name)["required"]) == {"type", "id", "data"}
    request = PingRequest(id=RequestId("r1"), data=NoData())
    assert set(json.loads(request.model_dump_json())) == {"type", "id", "data"}
