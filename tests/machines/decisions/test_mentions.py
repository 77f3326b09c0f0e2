"""Whom a text mentions, by the names of the moment."""

from typing import Final

import pytest

from machines.decisions.mentions import MAX_PLACES, mentions_in
from machines.models.ids import PublicKey

ME, ADA, ADA_L, BEN, OTHER_BEN = map(PublicKey, ("me", "ada", "ada-l", "ben", "other-ben"))
NAMES: Final = {ME: "Cay", ADA: "Ada", ADA_L: "Ada L", BEN: "Ben", OTHER_BEN: "Ben"}


def named(text: str) -> list[tuple[str, str]]:
    """Keys, each with the part of the text that names it."""
    found = mentions_in(text, NAMES, ME)
    return [(each.public_key, text[each.start : each.end]) for each in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@Ada what now?", [(ADA, "@Ada")]),
        ("(@ada)", [(ADA, "@ada")]),
        ("@Ada L, please", [(ADA_L, "@Ada L")]),
        ("@Ada Lovelace", [(ADA, "@Ada")]),
        ("both: @Ben", [(BEN, "@Ben"), (OTHER_BEN, "@Ben")]),
        ("🙂 @Ada and @Ada L", [(ADA, "@Ada"), (ADA_L, "@Ada L")]),
        ("@Adam", []),
        ("@ Ada", []),
        ("mail@Ada", []),
        ("@@Ada", []),
        ("@Cay, a note to myself", []),
        ("@Dan is not here", []),
    ],
)
def test_a_mention_is_an_at_and_the_longest_name_that_fits(
    text: str, expected: list[tuple[str, str]]
) -> None:
    assert named(text) == expected


def test_places_beyond_the_bound_mention_nobody() -> None:
    text = "@ben " * (MAX_PLACES + 1)
    assert len({each.start for each in mentions_in(text, NAMES, ME)}) == MAX_PLACES
