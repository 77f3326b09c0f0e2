"""`/asyncapi.json`: the wire protocol as an AsyncAPI 3 document, derived from the models.

Nothing about a frame is written down here a second time: types, fields, bounds and replies come
from `machines.models.wire.requests` and `machines.models.wire.frames`. Only what no model knows stands
here: the transport, and which frames the server sends unasked.

The document is told from the server's side, as AsyncAPI 3 wants it: it receives requests, and
sends frames.
"""

from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import BaseModel

from machines.models.limits import MAX_FRAME_BYTES, PROTOCOL_VERSION, SUBPROTOCOL
from machines.models.wire.envelope import ServerFrame
from machines.models.wire.frames import SERVER_FRAMES
from machines.models.wire.request_base import Request
from machines.models.wire.requests import REQUESTS
from server import __version__
from server.http.schemas import wire_schemas

WEBSOCKET_PATH: Final = "/ws"

UNASKED: Final = ("hello", "chorus_response", "thread_event", "notice", "presence", "error")
"""Frames that the server also sends where no request asks for them."""

_CHANNEL: Final = "chorus"
_SCHEMAS: Final = "#/components/schemas/"


def asyncapi_document(server_url: str) -> dict[str, Any]:
    """The whole document as JSON values; it depends on `server_url` and the models alone.

    Args:
        server_url: the server's public address, `http://` or `https://`, as it is configured.
    """
    schemas, payloads = wire_schemas(_SCHEMAS)
    messages = {
        **{name: _request_message(name, REQUESTS[name], payloads[name]) for name in REQUESTS},
        **{
            name: _frame_message(name, SERVER_FRAMES[name], payloads[name])
            for name in SERVER_FRAMES
        },
    }
    return {
        "asyncapi": "3.0.0",
        "id": f"urn:chorus:protocol:{PROTOCOL_VERSION}",
        "info": {
            "title": "Chorus",
            "version": __version__,
            "description": (
                "Co-authored conversations with a language model. One websocket, subprotocol "
                f"`{SUBPROTOCOL}`, text frames of one JSON object each, at most "
                f"{MAX_FRAME_BYTES} bytes from a client. Every request gets exactly one reply with "
                "its id in `re`: the one named here, or `error`."
            ),
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {_CHANNEL: _server(server_url)},
        "channels": {
            _CHANNEL: {
                "address": WEBSOCKET_PATH,
                "title": "The websocket",
                "description": (
                    "All frames of a connection, in both directions. Requests take effect in the "
                    "order of arrival."
                ),
                "servers": [{"$ref": f"#/servers/{_CHANNEL}"}],
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
            }
        },
        "operations": {
            **{name: _request_operation(name, REQUESTS[name]) for name in REQUESTS},
            **{f"send_{name}": _send_operation(name, SERVER_FRAMES[name]) for name in UNASKED},
        },
        "components": {"messages": messages, "schemas": _without_discriminators(schemas)},
    }


def _server(server_url: str) -> dict[str, Any]:
    address = urlsplit(server_url)
    return {
        "host": address.netloc,
        "protocol": "wss" if address.scheme in {"https", "wss"} else "ws",
        "protocolVersion": "13",
        "pathname": address.path.rstrip("/") or "/",
        "description": f"Offer the subprotocol `{SUBPROTOCOL}`.",
    }


def _without_discriminators(schema: Any) -> Any:
    """The schema without OpenAPI's `discriminator` objects.

    AsyncAPI spells that keyword differently; `oneOf` over constants says the same to every reader.
    """
    if isinstance(schema, dict):
        return {
            key: _without_discriminators(value)
            for key, value in schema.items()
            if not (key == "discriminator" and isinstance(value, dict) and "propertyName" in value)
        }
    if isinstance(schema, list):
        return [_without_discriminators(item) for item in schema]
    return schema


def _request_message(name: str, request: type[Request], payload: dict[str, Any]) -> dict[str, Any]:
    again = " May be sent again with the same id." if request.mutating else ""
    return {
        "name": name,
        "title": name,
        "summary": _summary(request) + again,
        "correlationId": {"location": "$message.payload#/id"},
        "payload": payload,
    }


def _frame_message(name: str, frame: type[ServerFrame], payload: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "title": name,
        "summary": _summary(frame),
        "correlationId": {"location": "$message.payload#/re"},
        "payload": payload,
    }


def _request_operation(name: str, request: type[Request]) -> dict[str, Any]:
    return {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{_CHANNEL}"},
        "summary": _summary(request),
        "messages": [_in_channel(name)],
        "reply": {
            "channel": {"$ref": f"#/channels/{_CHANNEL}"},
            "messages": [_in_channel(request.reply), _in_channel("error")],
        },
    }


def _send_operation(name: str, frame: type[ServerFrame]) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{_CHANNEL}"},
        "summary": _summary(frame),
        "messages": [_in_channel(name)],
    }


def _in_channel(name: str) -> dict[str, str]:
    return {"$ref": f"#/channels/{_CHANNEL}/messages/{name}"}


def _summary(model: type[BaseModel]) -> str:
    """The first line of a model's docstring."""
    return (model.__doc__ or model.__name__).strip().splitlines()[0]
