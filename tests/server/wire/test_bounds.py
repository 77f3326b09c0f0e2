"""No server frame is larger than its bound, whatever texts are in it, and what fits is left as it is."""

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from machines.models.limits import MAX_SERVER_FRAME_BYTES
from machines.models.wire.frames import ServerMessage
from server.wire.bounds import fitting, within_bound
from server.wire.codec import decode_server_frame, encode_server_frame
from tests.support.strategies import values_of

CHARACTERS: Final = ("a", '"', "\\", "\u0001", "é", "漢", "😀")

long_texts = st.builds(
    lambda character, count: character * count,
    st.sampled_from(CHARACTERS),
    st.integers(0, 300_000),
)
values = st.recursive(
    long_texts,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(("content", "html", "text")), inner, max_size=3)
    ),
    max_leaves=6,
)


def bytes_of(text: str) -> int:
    return len(text.encode())


def frame_of(data: object) -> str:
    return to_json({"type": "pong", "re": None, "data": data}).decode()


def beginnings(cut: Any, whole: Any) -> bool:
    """Whether `cut` is `whole`, but for texts of which it has the beginning, and HTML that is left out."""
    match cut, whole:
        case (dict(), dict()):
            return cut.keys() == whole.keys() and all(
                beginnings(cut[name], whole[name]) or (name == "html" and cut[name] is None)
                for name in whole
            )
        case (list(), list()):
            return len(cut) == len(whole) and all(map(beginnings, cut, whole))
        case (str(), str()) if cut != whole:
            return cut.endswith("…") and whole.startswith(cut[:-1]) and len(to_json(cut)) > 200
        case _:
            return bool(cut == whole)


@given(values)
def test_any_frame_keeps_the_bound_and_says_where_it_was_cut(data: Any) -> None:
    whole = frame_of(data)
    sent = within_bound(whole)
    assert bytes_of(sent) <= MAX_SERVER_FRAME_BYTES
    if bytes_of(whole) <= MAX_SERVER_FRAME_BYTES:
        assert sent is whole
    else:
        frame = json.loads(sent)
        assert frame["shortened"] is True
        assert beginnings(frame["data"], data)
        assert "html" not in sent or '"html":null' in sent


@given(values_of(ServerMessage))
def test_a_frame_that_fits_is_sent_as_it_is(frame: ServerMessage) -> None:
    text = encode_server_frame(frame)
    assert bytes_of(text) <= MAX_SERVER_FRAME_BYTES
    assert frame.shortened or not json.loads(text).get("shortened")
    decode_server_frame(text)


def test_the_longest_texts_give_way_and_the_short_stay_whole() -> None:
    short = "s" * 10_000
    frame = json.loads(within_bound(frame_of([short, "x" * 400_000, "y" * 400_000])))
    kept, first, second = frame["data"]
    assert kept == short
    assert len(first) == len(second)
    assert bytes_of(json.dumps(frame, ensure_ascii=False)) > MAX_SERVER_FRAME_BYTES * 0.99


def test_what_is_too_large_by_its_items_alone_is_a_defect_of_its_page() -> None:
    with pytest.raises(ValueError, match="end its page earlier"):
        within_bound(frame_of(["short"] * 100_000))


@given(st.lists(st.integers(1, 1_000), max_size=30), st.integers(-10, 10_000))
def test_a_page_ends_before_the_item_that_does_not_fit(sizes: list[int], room: int) -> None:
    count = fitting(sizes, room)
    assert count == len(sizes) or sum(sizes[: count + 1]) > room
    assert count <= 1 or sum(sizes[:count]) <= room
    assert count or not sizes
