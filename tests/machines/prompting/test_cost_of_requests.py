"""What requests take, counted in tokens as `estimated_tokens` does; nothing is timed."""

from itertools import pairwise, takewhile
from typing import Final

import pytest

from machines.prompting.quoting import estimated_tokens
from machines.prompting.request import build_ai_call
from tests.machines.prompting.usual_run import asking

TOKENS_OF_0_3_0: Final = 11_302
"""What version 0.3.0 asked for the same run, in all its requests."""


@pytest.fixture(scope="module")
def requests() -> list[str]:
    """All that the model reads in each step of a usual run."""
    return ["".join(each.content for each in build_ai_call(run).messages) for run in asking()]


def beginning(one: str, other: str) -> str:
    """What both begin with."""
    alike = takewhile(lambda both: both[0] == both[1], zip(one, other, strict=False))
    return "".join(letter for letter, _ in alike)


def test_a_run_takes_a_quarter_fewer_tokens_than_in_version_0_3_0(requests: list[str]) -> None:
    tokens = sum(map(estimated_tokens, requests))
    assert tokens <= 0.75 * TOKENS_OF_0_3_0


def test_of_later_requests_seven_tokens_of_ten_begin_the_request_before(
    requests: list[str],
) -> None:
    begun = [estimated_tokens(beginning(*both)) for both in pairwise(requests)]
    assert sum(begun) >= 0.7 * sum(map(estimated_tokens, requests[1:]))
    # Experience brings the priors; from then on nearly all has been read before.
    assert all(
        begin >= 0.75 * estimated_tokens(request)
        for begin, request in zip(begun[1:], requests[2:], strict=True)
    )
