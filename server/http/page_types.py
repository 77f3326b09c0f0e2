"""`python -m server.http.page_types`: the wire protocol as TypeScript types for the page's modules.

Writes `server/page/wire.d.ts` from the models of requests and server frames; `--check` only says
whether the committed file is what they give. The page's modules are checked against these types, so
a field that is renamed in a model fails the check of the module that reads it.

Definitions are sorted by name, the fields of each stand as its model declares them.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args

import server
from machines.models.limits import PROTOCOL_VERSION, SUBPROTOCOL
from machines.models.outputs import StepOutput
from machines.models.wire.frames import (
    SERVER_FRAMES,
    LiveFrame,
)
from machines.models.wire.requests import MUTATING, REQUESTS
from machines.models.wire.run_frames import ChorusResponseData
from server.http.schemas import WireSchemas, wire_schemas

__all__ = ["TYPES_FILE", "drift", "page_types"]

TYPES_FILE: Final = Path(server.__file__).parent / "page" / "wire.d.ts"

_UNIONS: Final = {
    "ChorusResponseData": ChorusResponseData,
    "LiveFrame": LiveFrame,
    "StepOutput": StepOutput,
}
"""Unions that the models name and a JSON schema does not."""

_SCALARS: Final = {
    "boolean": "boolean",
    "integer": "number",
    "null": "null",
    "number": "number",
    "string": "string",
}
_IN_JSON: Final = {"None": "null", "True": "true", "False": "false"}
_PYTHONS: Final = re.compile(rf"\b(?:{'|'.join(_IN_JSON)})\b")
_WIDTH: Final = 100
_HEAD: Final = """\
// The wire protocol, generated from machines/models by `make types`; not to be edited.
"""


def page_types() -> str:
    """The whole file; it depends on the models alone."""
    wire = wire_schemas("")
    unions = {name: _members(union) for name, union in _UNIONS.items()}
    definitions = {
        **_protocol(wire),
        **{name: _union(name, members) for name, members in unions.items()},
    }
    requested = _reachable([wire.payloads[name]["$ref"] for name in REQUESTS], wire.schemas)
    names = {members: name for name, members in unions.items()}
    for name, schema in wire.schemas.items():
        definitions[name] = _definition(name, schema, names, is_read=name in requested)
    return "\n".join([_HEAD, *(definitions[name] for name in sorted(definitions))])


def _protocol(wire: WireSchemas) -> dict[str, str]:
    """What the models say about frames as a whole: their types, replies and constants."""
    payload = {name: reference["$ref"] for name, reference in wire.payloads.items()}
    requests = [(name, payload[name]) for name in sorted(REQUESTS)]
    replies = [(name, payload[REQUESTS[name].reply]) for name in sorted(REQUESTS)]
    return {
        "MutatingType": _comment("Requests that may be sent again with the same id.")
        + _alias("MutatingType", [f'"{name}"' for name in sorted(MUTATING)]),
        "ProtocolVersion": _alias("ProtocolVersion", [str(PROTOCOL_VERSION)]),
        "Replies": _comment("The frame that answers each request, where it is not an error.")
        + _interface("Replies", [f"{name}: {reply};" for name, reply in replies]),
        "Requests": _comment("Each request by its type.")
        + _interface("Requests", [f"{name}: {request};" for name, request in requests]),
        "ServerMessage": _union("ServerMessage", tuple(payload[name] for name in SERVER_FRAMES)),
        "Subprotocol": _alias("Subprotocol", [f'"{SUBPROTOCOL}"']),
    }


def _definition(
    name: str, schema: Mapping[str, Any], names: Mapping[tuple[str, ...], str], *, is_read: bool
) -> str:
    comment = _comment(schema.get("description", ""))
    if "enum" in schema:
        return comment + _alias(name, [f'"{value}"' for value in schema["enum"]])
    required = schema.get("required", ())
    lines: list[str] = []
    for field, of in schema["properties"].items():
        types = _types(of, names)
        if field not in required and not is_read:
            # The server leaves such a key out where it holds nothing.
            types = [type_ for type_ in types if type_ != "null"]
        mark = "" if field in required else "?"
        lines.extend(_comment(of.get("description", "")).splitlines())
        lines.append(f"{field}{mark}: {' | '.join(types)};")
    return comment + _interface(name, lines)


def _types(schema: Mapping[str, Any], names: Mapping[tuple[str, ...], str]) -> list[str]:
    """The members of the union that a schema is, in TypeScript; one for what is no union."""
    if "$ref" in schema:
        return [str(schema["$ref"])]
    if "const" in schema:
        return [f'"{schema["const"]}"']
    if "enum" in schema:
        return [f'"{value}"' for value in schema["enum"]]
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            members = [type_ for each in schema[keyword] for type_ in _types(each, names)]
            name = names.get(tuple(members))
            return members if name is None else [name]
    match schema["type"]:
        case "array":
            items = _types(schema["items"], names)
            return [f"readonly {items[0]}[]" if len(items) == 1 else f"readonly ({_or(items)})[]"]
        case "object":
            values = schema["additionalProperties"]
            return [
                f"Record<string, {'unknown' if values is True else _or(_types(values, names))}>"
            ]
        case scalar:
            return [_SCALARS[scalar]]


def _or(types: list[str]) -> str:
    return " | ".join(types)


def _members(union: Any) -> tuple[str, ...]:
    """Names of the models of an annotated union."""
    return tuple(model.__name__ for model in get_args(get_args(union)[0]))


def _reachable(roots: list[str], schemas: Mapping[str, Any]) -> set[str]:
    """Names of the schemas that `roots` are made of."""
    known: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in known:
            known.add(name)
            waiting.extend(_references(schemas[name]))
    return known


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(reference := schema.get("$ref"), str):
            yield reference
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _references(item)


def _union(name: str, members: tuple[str, ...]) -> str:
    return _alias(name, list(members))


def _alias(name: str, members: list[str]) -> str:
    line = f"export type {name} = {_or(members)};\n"
    if len(line) <= _WIDTH:
        return line
    line = f"  {_or(members)};\n"
    if len(line) > _WIDTH:
        line = "\n".join(f"  | {member}" for member in members) + ";\n"
    return f"export type {name} =\n{line}"


def _interface(name: str, lines: list[str]) -> str:
    body = "".join(f"  {_wrapped(line)}\n" for line in lines)
    return f"export interface {name} {{\n{body}}}\n" if body else f"export interface {name} {{}}\n"


def _wrapped(field: str) -> str:
    """A field with its type on a line of its own, where one line cannot hold both; a union that is
    longer than that has a line for each member."""
    name, colon, type_ = field.partition(": ")
    if len(field) + len("  ") <= _WIDTH or not colon or not field.endswith(";"):
        return field
    if len(type_) + len("    ") > _WIDTH and " | " in type_:
        type_ = "\n    ".join(f"| {member}" for member in type_.split(" | "))
    return f"{name}:\n    {type_}"


def _comment(text: str) -> str:
    if not text:
        return ""
    text = _PYTHONS.sub(lambda word: _IN_JSON[word[0]], text).replace("*/", "*\\/")
    first, *rest = text.splitlines()
    if not rest:
        return f"/** {first} */\n"
    return "\n".join(["/**", *(f" * {line}".rstrip() for line in (first, *rest)), " */"]) + "\n"


def drift(path: Path = TYPES_FILE) -> str | None:
    """In one sentence that the file at `path` is not what the models say; None where it is."""
    if path.is_file() and path.read_bytes() == page_types().encode():
        return None
    return f"{path.name} is not what the models say; run make types."


def main(arguments: list[str] | None = None) -> int:
    """Write the file, or with `--check` compare it; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m server.http.page_types", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; 1 where it differs")
    if not parser.parse_args(arguments).check:
        TYPES_FILE.write_text(page_types(), encoding="utf-8", newline="\n")
        sys.stdout.write(f"{TYPES_FILE}\n")
        return 0
    problem = drift()
    if problem is not None:
        sys.stderr.write(f"{problem}\n")
        return 1
    sys.stdout.write("The page's types of the wire are those of the models.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
