"""Formulas of LaTeX as MathML, which browsers draw themselves.

latex2mathml reads a formula; what it makes is written here by an allow-list, since it keeps links and
does not escape texts. A formula that it cannot read, that defines commands, or that is too long is not
typeset: it stays as it is written.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from html import escape, unescape
from typing import Final
from xml.etree.ElementTree import Element

MAX_FORMULA: Final = 1_000
"""Code points of a formula that is typeset; reading one takes up to 60 us for each."""

MAX_FORMULAS: Final = 4_000
"""Code points of all formulas of a text that are typeset, the first ones."""

MAX_DEPTH: Final = 30
"""Elements within each other."""

ELEMENTS: Final = frozenset(
    {
        *("math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "mroot", "msub"),
        *("msup", "msubsup", "munder", "mover", "munderover", "mtable", "mtr", "mtd", "mstyle"),
        *("mpadded", "mphantom", "menclose"),
    }
)
ATTRIBUTES: Final = frozenset(
    {
        *("display", "alttext", "stretchy", "fence", "form", "separator", "accent", "accentunder"),
        *("movablelimits", "displaystyle", "scriptlevel", "mathvariant", "linethickness"),
        *("columnalign", "columnlines", "rowlines", "rowspacing", "columnspacing", "width"),
        *("minsize", "maxsize", "lspace", "rspace"),
    }
)
_VALUE: Final = re.compile(r"-?\d{0,2}(?:\.\d{1,4})?(?:em|ex|pt|%)?|[a-z -]{1,40}")
"""What an attribute may hold besides the source: words, and lengths that widen no page."""

_DEFINES: Final = ("\\newcommand", "\\renewcommand", "\\def", "\\let", "\\require")
_BRACKETS: Final = (("$$", "$$"), ("\\(", "\\)"), ("\\[", "\\]"), ("$", "$"))


@lru_cache(maxsize=2_048)
def typeset(formula: str) -> str | None:
    """MathML of a formula with its brackets, such as `$x^2$`; None where it stays as written."""
    bare = formula.replace("\\{", "").replace("\\}", "")
    if len(formula) > MAX_FORMULA or bare.count("{") != bare.count("}"):
        return None
    if any(each in formula for each in _DEFINES):
        return None
    begin, end = next(each for each in _BRACKETS if formula.startswith(each[0]))
    inner = formula.removeprefix(begin).removesuffix(end).strip()
    # Deferred: it is imported where texts are rendered, and not at the start.
    from latex2mathml.converter import convert_to_element

    display = "block" if begin in {"$$", "\\["} else "inline"
    try:
        element = convert_to_element(inner, display=display)
        element.set("alttext", inner)
        return "".join(_written(element, MAX_DEPTH))
    except Exception:  # noqa: BLE001 - the library fails at bad formulas in many ways
        return None


def _written(element: Element, depth: int) -> Iterator[str]:
    """The text of an element. Raises ValueError where it is none that may be shown."""
    text = unescape(element.text or "")
    # A command that is not known comes as a name that keeps its backslash.
    if element.tag not in ELEMENTS or depth == 0 or "\\" in text or text == "&":
        raise ValueError("no formula")
    attributes = "".join(
        f' {name}="{escape(value)}"'
        for name, value in element.items()
        if name in ATTRIBUTES and (name == "alttext" or _VALUE.fullmatch(value))
    )
    yield f"<{element.tag}{attributes}>{escape(text)}"
    for child in element:
        yield from _written(child, depth - 1)
    yield f"</{element.tag}>"
