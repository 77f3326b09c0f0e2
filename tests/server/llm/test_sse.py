"""Server-sent events, however the network cuts them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines.models.errors import AIError
from server.llm.sse import MAX_EVENT_BYTES, EventReader

ends = st.sampled_from([b"\n", b"\r\n", b"\r"])
words = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=8).map(str.encode)
noise = st.sampled_from([b": a comment", b"event: chunk", b"id: 7", b"retry: 10", b"database: no"])


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """A stream, and the payloads that it carries."""
    end = draw(ends)
    stream, payloads = b"", []
    for lines in draw(st.lists(st.lists(words, max_size=3), max_size=6)):
        between = draw(st.lists(noise, max_size=2))
        spelt = [draw(st.sampled_from([b"data: ", b"data:"])) + line for line in lines]
        stream += b"".join(each + end for each in [*between, *spelt]) + end
        payload = b"\n".join(each.removeprefix(b"data:").removeprefix(b" ") for each in spelt)
        if payload:
            payloads.append(payload)
    return stream, payloads


@given(streams(), st.lists(st.integers(0, 400), max_size=12))
def test_payloads_are_the_same_wherever_the_stream_is_cut(
    told: tuple[bytes, list[bytes]], cuts: list[int]
) -> None:
    stream, payloads = told
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    reader = EventReader()
    read = [
        payload for begin, end in pairwise(places) for payload in reader.feed(stream[begin:end])
    ]
    assert read == payloads


def test_an_event_that_did_not_end_is_none() -> None:
    reader = EventReader()
    assert reader.feed(b'data: {"half":') == []
    assert reader.feed(b" 1}\n") == []
    assert reader.feed(b"\n") == [b'{"half": 1}']


def test_an_event_without_data_is_none() -> None:
    assert EventReader().feed(b"data:\n\ndata: \n\ndata: 1\n\n") == [b"1"]
    assert EventReader().feed(b"data: \n\n") == []


def test_a_byte_order_mark_hides_nothing() -> None:
    assert EventReader().feed(b"\xef\xbb\xbfdata: 1\n\n") == [b"1"]


def test_an_event_that_never_ends_is_refused_before_it_fills_the_memory() -> None:
    reader = EventReader()
    assert reader.feed(b"x" * MAX_EVENT_BYTES) == []
    with pytest.raises(AIError):
        reader.feed(b"x")
