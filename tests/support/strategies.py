"""Random values of every model, for hypothesis: read from the models' own fields.

`values_of(annotation)` gives valid values of anything that a model may hold. It follows pydantic's
annotations, so that a new field or a new event is covered without a line here; texts with rules of
their own come from a pool, of which those are taken that the rules accept.
"""

from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from functools import cache, reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Final, Literal, NewType, Union, get_args, get_origin

import annotated_types
from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from machines.models.ids import PublicKey, RequestId
from machines.models.keys import encode_base58
from tests.machines.transitions.values import PEOPLE, uuid

Values = st.SearchStrategy[Any]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.integers(-(2**53), 2**53)
moments = st.builds(
    lambda seconds, micros, hours: (
        datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds, microseconds=micros)
    ).astimezone(timezone(timedelta(hours=hours))),
    st.integers(0, 10**8),
    st.integers(0, 999_999),
    st.integers(-12, 12),
)
json_values: Values = st.recursive(
    st.none() | st.booleans() | numbers | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)

_IDS: Final = tuple(uuid(number) for number in range(20))
_POOL: Final = (
    "What did we say about tides?",
    "Grüße, 漢字 😀",
    *PEOPLE,
    *_IDS[:4],
    "r-1",
    encode_base58(bytes(range(64))),
)
"""Texts that satisfy each rule of the protocol at least once."""


@cache
def values_of(annotation: Any) -> Values:
    """Valid values of a model, a union, or any other annotation of a field."""
    return _values(annotation, ())


def members(union: Any) -> tuple[type[BaseModel], ...]:
    """The models of a closed union, annotated or not."""
    if get_origin(union) is Annotated:
        return members(get_args(union)[0])
    return get_args(union)


def _values(annotation: Any, metadata: tuple[Any, ...]) -> Values:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _values(arguments[0], (*_flat(arguments[1:]), *metadata))
    if origin in (Union, UnionType):
        return reduce(or_, (_values(each, metadata) for each in arguments))
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        return _tuples(arguments, metadata)
    if origin is dict:
        return st.dictionaries(_values(arguments[0], ()), _values(arguments[1], ()), max_size=3)
    if origin is frozenset:
        return st.frozensets(_values(arguments[0], ()), max_size=3)
    return _leaf(annotation, metadata)


def _leaf(annotation: Any, metadata: tuple[Any, ...]) -> Values:
    if isinstance(annotation, NewType):
        return _names(annotation)
    if annotation is AwareDatetime:
        return moments
    if annotation is Any or annotation is object:
        return json_values
    if annotation is type(None):
        return st.none()
    if not isinstance(annotation, type):
        raise TypeError(f"say here how values of {annotation!r} are made")
    if issubclass(annotation, BaseModel):
        return _models(annotation)
    if issubclass(annotation, Enum):
        return st.sampled_from(annotation)
    if annotation is bool:
        return st.booleans()
    if annotation is int:
        return _integers(metadata)
    if annotation is float:
        return _floats(metadata)
    if annotation is str:
        return _strings(metadata)
    raise TypeError(f"say here how values of {annotation!r} are made")


@cache
def _models(model: type[BaseModel]) -> Values:
    def built() -> Values:
        fields = {
            name: _values(field.annotation, _flat(field.metadata))
            for name, field in model.model_fields.items()
        }
        return st.fixed_dictionaries(fields).map(lambda drawn: model(**drawn))

    return st.deferred(built)  # hypothesis would spell a nested strategy out, at any length


def _tuples(arguments: tuple[Any, ...], metadata: tuple[Any, ...]) -> Values:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        least = next((each.min_length for each in metadata if hasattr(each, "min_length")), 0)
        return st.lists(_values(arguments[0], ()), min_size=least, max_size=3).map(tuple)
    return st.tuples(*(_values(each, ()) for each in arguments))


def _names(name: NewType) -> Values:
    if name is PublicKey:
        return st.sampled_from(PEOPLE)
    if name is RequestId:
        return st.sampled_from(["r-1", "r-2", "a.b:c_D"])
    return st.sampled_from(_IDS)


def _integers(metadata: tuple[Any, ...]) -> Values:
    least = (each.ge for each in metadata if isinstance(each, annotated_types.Ge))
    most = (each.le for each in metadata if isinstance(each, annotated_types.Le))
    return st.integers(_number(next(least, 0)), _number(next(most, 2**53)))


def _number(bound: object) -> int:
    assert isinstance(bound, int), f"a bound of an integer is an integer, not {bound!r}"
    return bound


def _floats(metadata: tuple[Any, ...]) -> Values:
    if any(isinstance(each, annotated_types.Gt) for each in metadata):
        return st.floats(0, 1e6, exclude_min=True)
    bounded = any(isinstance(each, annotated_types.Ge) for each in metadata)
    return st.floats(
        0 if bounded else None,
        1 if bounded else None,
        exclude_max=bounded,
        allow_nan=False,
        allow_infinity=False,
    )


def _strings(metadata: tuple[Any, ...]) -> Values:
    if not metadata:
        return texts
    adapter: TypeAdapter[str] = TypeAdapter(Annotated[(str, *metadata)])
    accepted = [text for text in _POOL if _accepts(adapter, text)]
    assert accepted, f"`_POOL` holds no text that {metadata} accepts: add one"
    return st.sampled_from(accepted)


def _accepts(adapter: TypeAdapter[str], text: str) -> bool:
    try:
        return adapter.validate_python(text) == text
    except ValidationError:
        return False


def _flat(metadata: Any) -> tuple[Any, ...]:
    """Constraints alone, also those that stand inside a `Field`."""
    return tuple(
        inner
        for each in metadata
        for inner in (each.metadata if isinstance(each, FieldInfo) else (each,))
    )
