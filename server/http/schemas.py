"""JSON schemas of every frame, derived from the models: what each description of the wire starts from.

Requests are described as they are read (what has a default may be missing), server frames as they
are written (what has a default is there all the same).
"""

from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from machines.models.wire.frames import SERVER_FRAMES
from machines.models.wire.requests import REQUESTS

__all__ = ["WireSchemas", "wire_schemas"]


class WireSchemas(NamedTuple):
    """The schemas by name, and where each frame type's own begins."""

    schemas: dict[str, Any]
    """Every named schema, in no promised order."""
    payloads: dict[str, dict[str, Any]]
    """By the `type` of a frame: `{"$ref": ...}` of its schema; requests first."""


def wire_schemas(prefix: str) -> WireSchemas:
    """The schemas of all requests and server frames, whose references begin with `prefix`."""
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        *((request, "validation") for request in REQUESTS.values()),
        *((frame, "serialization") for frame in SERVER_FRAMES.values()),
    ]
    references, definitions = models_json_schema(wanted, ref_template=prefix + "{model}")
    schemas: dict[str, Any] = definitions["$defs"]
    payloads = {
        **{name: references[request, "validation"] for name, request in REQUESTS.items()},
        **{name: references[frame, "serialization"] for name, frame in SERVER_FRAMES.items()},
    }
    for name in REQUESTS:
        # The constructor knows its own type; on the wire it must be said.
        schema = schemas[payloads[name]["$ref"].removeprefix(prefix)]
        schema["required"] = ["type", *schema["required"]]
    return WireSchemas(schemas, payloads)
