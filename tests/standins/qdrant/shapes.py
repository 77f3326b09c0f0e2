"""What a request must be: refused here is what the real server's published description refuses.

The shapes are the client library's models, which are generated from that description (OpenAPI of
Qdrant 1.19): every field, kind, choice and name. They are read strictly, so that "3" is no number,
and with no field beside them: the real server ignores a field that it does not know, which would hide
a misspelt one. What the models leave out of the description stands in `_AT_LEAST` and `_EACH_ONCE`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter, ValidationError
from qdrant_client import models

Json = Any

BODIES: Final[Mapping[str, TypeAdapter[Any]]] = {
    "create": TypeAdapter(models.CreateCollection),
    "index": TypeAdapter(models.CreateFieldIndex),
    "batch": TypeAdapter(models.UpdateOperations),
    "delete": TypeAdapter(models.PointsSelector),
    "query": TypeAdapter(models.QueryRequest),
    "query batch": TypeAdapter(models.QueryRequestBatch),
    "scroll": TypeAdapter(models.ScrollRequest),
    "count": TypeAdapter(models.CountRequest),
    "retrieve": TypeAdapter(models.PointRequest),
}
"""The body of each kind of request that has one."""

WRITES: Final = frozenset({"index", "batch", "delete"})
"""Kinds that say `wait` and `ordering`."""

READS: Final = frozenset({"query", "query batch", "scroll", "count", "retrieve"})
"""Kinds that say `consistency`."""

_AT_LEAST: Final[Mapping[tuple[str, str], int]] = {
    ("CreateCollection", "shard_number"): 1,
    ("CreateCollection", "replication_factor"): 1,
    ("CreateCollection", "write_consistency_factor"): 1,
    ("VectorParams", "size"): 1,
    ("HnswConfigDiff", "ef_construct"): 4,
    ("HnswConfigDiff", "full_scan_threshold"): 10,
    ("SearchParams", "hnsw_ef"): 1,
    ("MinShould", "min_count"): 1,
    ("Prefetch", "limit"): 1,
    ("QueryRequest", "limit"): 1,
    ("QueryRequest", "offset"): 0,
    ("ScrollRequest", "limit"): 1,
}
"""`minimum` of the description, by model and field."""

_EACH_ONCE: Final = frozenset({("HasIdCondition", "has_id"), ("MatchAny", "any")})
"""`uniqueItems` of the description."""

_LONGEST_INDEX: Final = 2**32 - 1
_LONGEST_ID: Final = 2**64 - 1


class Refused(Exception):
    """The request is not answered; `str` says why, in the words of nobody's server."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def body_of(kind: str, raw: bytes) -> Json:
    """The body of a request, which is of its kind's shape.

    Raises:
        Refused: with 400 for what is of another shape, with 422 for a value out of bounds.
    """
    adapter = BODIES[kind]
    try:
        body = adapter.validate_json(raw, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Refused(400, f"Format error in JSON body: {where}: {first['msg']}") from error
    for wrong in _out_of_bounds(body):
        raise Refused(422, f"Validation error in JSON body: {wrong}")
    return body


def verify_parameters(kind: str, parameters: Mapping[str, str]) -> None:
    """Raises Refused with 400 for a parameter of the address that is none of the kind's."""
    for name, value in parameters.items():
        match name:
            case "wait" if kind in WRITES:
                known = value in {"true", "false"}
            case "ordering" if kind in WRITES:
                known = value in {each.value for each in models.WriteOrdering}
            case "consistency" if kind in READS:
                named = {each.value for each in models.ReadConsistencyType}
                known = value in named or value.isdecimal()
            case "timeout":
                known = value.isdecimal() and int(value) >= 1
            case _:
                known = False
        if not known:
            raise Refused(400, f"Validation error in parameters: {name}={value}")


def _out_of_bounds(value: object) -> Iterator[str]:
    """What is wrong with the values of a shape that is right."""
    if isinstance(value, list | tuple):
        for each in value:
            yield from _out_of_bounds(each)
        return
    if isinstance(value, dict):
        for each in value.values():
            yield from _out_of_bounds(each)
        return
    if not isinstance(value, BaseModel):
        return
    if isinstance(value, models.SparseVector):
        yield from _wrong_in_sparse(value)
        return  # numbers alone
    kind = type(value).__name__
    for name in type(value).model_fields:
        inner = getattr(value, name)
        least = _AT_LEAST.get((kind, name))
        if least is not None and isinstance(inner, int) and inner < least:
            yield f"{kind}.{name}: {inner} is below {least}"
        if (kind, name) in _EACH_ONCE and len(set(inner)) < len(inner):
            yield f"{kind}.{name}: an item is there twice"
        if name in {"id", "ids", "has_id", "points"}:
            yield from _wrong_ids(f"{kind}.{name}", inner)
        if name not in {"payload", "metadata"}:
            yield from _out_of_bounds(inner)


def _wrong_ids(where: str, ids: object) -> Iterator[str]:
    """Point ids are 64-bit numbers or UUIDs, which strict reading makes `UUID`."""
    for each in ids if isinstance(ids, list) else [ids]:
        if isinstance(each, str):
            yield f"{where}: {each[:80]!r} is no UUID"
        elif isinstance(each, int) and not 0 <= each <= _LONGEST_ID:
            yield f"{where}: {each} is no 64-bit number"


def _wrong_in_sparse(vector: models.SparseVector) -> Iterator[str]:
    if len(vector.indices) != len(vector.values):
        yield "SparseVector: as many indices as values must be there"
    if len(set(vector.indices)) < len(vector.indices):
        yield "SparseVector.indices: must be unique"
    if any(not 0 <= index <= _LONGEST_INDEX for index in vector.indices):
        yield "SparseVector.indices: out of 32 bits"
