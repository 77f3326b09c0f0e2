"""`docs/protocol.md` says what the models say: every request, frame, field, code and bound."""

import ast
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, get_args

import pytest
from pydantic import TypeAdapter

from machines.models import limits
from machines.models.errors import ErrorCode
from machines.models.wire.frames import (
    SERVER_FRAMES,
    ServerMessage,
    ThreadEventKind,
)
from machines.models.wire.requests import REQUESTS, ClientMessage
from machines.models.wire.run_frames import ChorusResponseData
from server.http.routes import SiteInfo, http_routes
from server.http.shared_threads import PATH
from server.metrics import Metrics
from tests.docs.markdown import ROOT, Document, Row, document

MAY_BE_SENT_AGAIN: Final = "M"
CLOSED_BY_AIOHTTP: Final = {1009}
"""The library closes for a frame that is too large."""


@pytest.fixture(scope="module")
def protocol() -> Document:
    """The page."""
    return document("docs/protocol.md")


def by_name(rows: tuple[Row, ...]) -> dict[str, Row]:
    """Rows by what stands between backticks in their first cell, which is one name."""
    return {row[0].code[0]: row for row in rows}


def fields_of(cell_code: tuple[str, ...]) -> set[str]:
    """Names in a cell, without the mark of what may be left out."""
    return {each.removesuffix("?") for each in cell_code}


def test_the_table_of_requests_is_that_of_the_models(protocol: Document) -> None:
    rows = by_name(protocol.section("Requests").table())
    assert rows.keys() == REQUESTS.keys()
    for name, request in REQUESTS.items():
        first, data, reply = rows[name]
        assert reply.code[:1] == (request.reply,), f"{name} is answered by {request.reply}"
        marked = first.text.removeprefix(name).strip() == MAY_BE_SENT_AGAIN
        assert marked == request.mutating, f"{name}: M marks what may be sent again"
        shape = request.model_fields["data"].annotation
        assert shape is not None
        declared = {
            each if field.is_required() else f"{each}?"
            for each, field in shape.model_fields.items()
        }
        assert declared <= set(data.code), f"{name} has the fields {sorted(declared)}"


def test_the_table_of_replies_is_that_of_the_models(protocol: Document) -> None:
    opening = {"challenge", "init"}
    replies = {request.reply for request in REQUESTS.values()} - opening | {"error"}
    assert by_name(protocol.section("Replies").table()).keys() == replies


def test_every_frame_of_the_server_is_described(protocol: Document) -> None:
    assert SERVER_FRAMES.keys() <= set(protocol.code)


def test_the_statuses_of_a_run_are_those_of_the_models(protocol: Document) -> None:
    rows = by_name(protocol.section("chorus_response").table())
    (union, _) = get_args(ChorusResponseData)
    shapes = {shape.model_fields["status"].default: shape for shape in get_args(union)}
    assert rows.keys() == shapes.keys()
    of_all = set.intersection(*(set(shape.model_fields) for shape in shapes.values()))
    for status, shape in shapes.items():
        assert shape.model_fields.keys() - of_all <= fields_of(rows[status][2].code), status


def test_the_kinds_of_thread_events_are_those_of_the_models(protocol: Document) -> None:
    rows = by_name(protocol.section("thread_event").table())
    assert rows.keys() == {kind.value for kind in ThreadEventKind}


def test_the_error_codes_are_those_of_the_models(protocol: Document) -> None:
    assert by_name(protocol.section("Errors").table()).keys() == {code.value for code in ErrorCode}


def test_the_close_codes_are_those_of_the_server(protocol: Document) -> None:
    used = set(_close_codes())
    rows = protocol.section("Close codes").table()
    assert {int(row[0].text) for row in rows} == used | CLOSED_BY_AIOHTTP


def test_every_field_of_every_shape_is_named(protocol: Document) -> None:
    named = {each.removesuffix("?") for each in protocol.code}
    missing = {
        field for union in (ClientMessage, ServerMessage) for field in _fields(_schema(union))
    }
    assert not missing - named


def test_every_bound_stands_in_the_table_of_limits(protocol: Document) -> None:
    rows = protocol.section("Limits").table(0)
    written = " ".join(row[1].text for row in rows)
    for name, value in vars(limits).items():
        if name.startswith(("MAX_", "DEFAULT_")):
            assert f"{value:,}" in written, f"{name} is {value:,}"


def test_every_route_is_listed(protocol: Document) -> None:
    async def ready() -> None:
        """Nothing keeps it from serving."""

    info = SiteInfo(address="http://127.0.0.1:8080", why_not_ready=ready, metrics_token=None)
    rows = by_name(protocol.section("HTTP beside it").table())
    drawings = rows["/diagrams/{machine}.svg"][1].code
    listed = (rows.keys() - {"/diagrams/{machine}.svg"}) | {
        f"/diagrams/{machine}.svg" for machine in drawings
    }
    routes = {route.path for route in http_routes(info, Metrics())}
    assert listed == {PATH, *(path for path in routes if not path.startswith("/page/"))}


def _close_codes() -> Iterator[int]:
    """The numbers that the code calls `CLOSE_...`, or members of a `CloseCode`, wherever it does."""
    for package in ("machines", "server"):
        for file in (ROOT / package).rglob("*.py"):
            yield from _close_codes_in(ast.parse(file.read_text(encoding="utf-8")), in_enum=False)


def _close_codes_in(tree: ast.AST, *, in_enum: bool) -> Iterator[int]:
    for node in ast.iter_child_nodes(tree):
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=int(code)))
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=int(code)))
            ):
                if in_enum or name.startswith("CLOSE_"):
                    yield code
            case ast.ClassDef(name="CloseCode"):
                yield from _close_codes_in(node, in_enum=True)
            case _:
                pass


@cache
def _schema(union: Any) -> dict[str, Any]:
    return TypeAdapter[Any](union).json_schema(mode="serialization")


def _fields(schema: Any) -> Iterator[str]:
    """Names of properties at any depth."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for value in schema.values():
            yield from _fields(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _fields(value)
