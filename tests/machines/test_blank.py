"""A text that shows nothing is blank, and no other is."""

import sys
import unicodedata

import pytest

from machines.models.blank import is_blank

SPACES_AND_CONTROLS = {"Cc", "Zs", "Zl", "Zp"}
SHOWN_FORMATS = {*"\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2"}
"""Format characters that fonts draw: signs around Arabic and Syriac numbers."""


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \t\n\u3000",
        "\u200b",
        "\ufeff\u2060\u200d",
        "\u3164",
        "\uffa0\u115f\u1160",
        "\u2800",
        "\u034f",
        "\U000e0041\U000e007f",
        "\ufe0f",
        " \u2800 \u200b\u3164 ",
    ],
    ids=ascii,
)
def test_what_shows_nothing_is_blank(text: str) -> None:
    assert is_blank(text)
    assert not is_blank(f"{text}a{text}")


@pytest.mark.parametrize("text", ["a", ".", "\u0301", "\N{GRINNING FACE}", "\u2801", "\u06dd"])
def test_what_shows_something_is_not_blank(text: str) -> None:
    assert not is_blank(text)


def test_no_letter_digit_mark_of_punctuation_or_symbol_is_blank_but_the_fillers() -> None:
    blank = {chr(code) for code in range(sys.maxunicode + 1) if is_blank(chr(code))}
    seen = {each for each in blank if unicodedata.category(each)[0] in "LNPS"}
    assert seen == set("\u115f\u1160\u3164\uffa0\u2800\U0001d159")


def test_every_space_control_and_format_that_fonts_do_not_draw_is_blank() -> None:
    for code in range(sys.maxunicode + 1):
        category = unicodedata.category(chr(code))
        if category in SPACES_AND_CONTROLS or (category == "Cf" and chr(code) not in SHOWN_FORMATS):
            assert is_blank(chr(code)), f"U+{code:04X}"
