"""Answers as HTML: Markdown rendered, and cleaned of everything that a page must not be handed.

A model's text is as untrusted as a stranger's. Two nets, each whole by itself: the renderer lets no
HTML of the text through, and what it makes is cleaned by an allow-list. No image is left (fetching
one tells its owner who reads), and no link but to http, https and mailto.

The cost is bounded: rendering is linear in the length, at some 10 us for a character that means
something. A text with more of those than any answer has is shown as it is, in a `<pre>`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from html import escape
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from machines.models.wire.views import RenderedText
from server.wire.typeset import ATTRIBUTES as MATH_ATTRIBUTES
from server.wire.typeset import ELEMENTS as MATH_ELEMENTS
from server.wire.typeset import MAX_FORMULAS, typeset

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

MAX_CHARACTERS: Final = 200_000
"""Code points of a text that is rendered; a longer one is shown as it is."""

MAX_MARKS: Final = 12_000
"""Characters with a meaning in Markdown, and cells of tables; likewise."""

MAX_CACHED_CHARACTERS: Final = 40_000
"""Code points of a text whose HTML is remembered."""

_CACHED_TEXTS: Final = 256

_MARK: Final = re.compile(r"[\n\\`*_~\[\]()<>&!|#+\-=:]")
_LINE_END: Final = re.compile(r"\r\n?|\n")
_LINK_REL: Final = "noopener noreferrer nofollow"
_TAGS: Final = {
    *("a", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol"),
    *("p", "pre", "s", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"),
}
_ATTRIBUTES: Final = {
    "a": {"href", "title"},
    "code": {"class"},
    "ol": {"start"},
    "td": {"align"},
    "th": {"align"},
}
_VALUES: Final = {
    "href": re.compile(r"(?:https?://|mailto:)[^\s\\]+", re.IGNORECASE),
    "title": re.compile(r".*", re.DOTALL),
    "class": re.compile(r"language-[\w+#.-]{1,40}"),
    "start": re.compile(r"\d{1,9}"),
    "align": re.compile(r"left|center|right"),
    "rel": re.compile(_LINK_REL),
}
"""What an attribute may hold; one that holds anything else is left out, its element stays."""


def render_markdown(text: str) -> str:
    """Sanitised HTML of a Markdown text (CommonMark with tables and strike-through).

    Takes up to about 0.3 s for a text made for the purpose, some milliseconds for an answer.
    """
    if len(text) > MAX_CACHED_CHARACTERS:
        return _rendered(text)
    return _remembered(text)


@lru_cache(maxsize=_CACHED_TEXTS)
def _remembered(text: str) -> str:
    return _rendered(text)


def _rendered(text: str) -> str:
    if len(text) > MAX_CHARACTERS or _marks(text) > MAX_MARKS:
        return f"<pre>{escape(text)}</pre>\n"
    pipeline = _pipeline()
    return pipeline.html(pipeline.markdown.parse(text), {})


def render_blocks(text: str, start: int) -> tuple[RenderedText, ...]:
    """The blocks of a text that goes on: all but the last are final, whatever follows.

    Args:
        start: code points that stand before the text in what it is a part of.
    """
    if _marks(text) > MAX_MARKS:
        return ()
    pipeline = _pipeline()
    lines = [0, *(found.end() for found in _LINE_END.finditer(text)), len(text)]
    parts, counts = [], dict[str, int]()
    for block in _top_level(pipeline.markdown.parse(text)):
        first, behind = block[0].map or (0, 0)
        part = RenderedText(
            start=start + lines[first], end=start + lines[behind], html=pipeline.html(block, counts)
        )
        parts.append(part)
    return tuple(parts)


def _top_level(tokens: Sequence["Token"]) -> Iterator[list["Token"]]:
    """The tokens of each block that stands in no other."""
    block: list[Token] = []
    for token in tokens:
        block.append(token)
        if token.level == 0 and token.nesting <= 0:
            yield block
            block = []


def _marks(text: str) -> int:
    """What rendering costs, counted in characters that mean something."""
    marks = sum(1 for _ in _MARK.finditer(text))
    # A short row is filled up to the width of its table, so a table costs its whole rectangle.
    columns = max((line.count("|") for line in text.split("\n")), default=0)
    return marks + columns * text.count("\n") if columns else marks


class _Pipeline(NamedTuple):
    markdown: "MarkdownIt"
    html: Callable[[Sequence["Token"], dict[str, int]], str]
    """Clean HTML of parsed tokens; with one dict for all parts of a text, in which it counts."""


def is_built() -> bool:
    """Whether the next rendering need not build the renderer first."""
    return _pipeline.cache_info().currsize > 0


@cache
def _pipeline() -> _Pipeline:
    """The renderer and the cleaner, built when the first text comes: their import takes 130 ms."""
    import nh3
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token

    from server.formulas import as_written, formulas

    def alternative_text(
        renderer: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any
    ) -> str:
        return escape(renderer.renderInlineAsText(tokens[place].children or [], options, env))

    markdown = MarkdownIt("commonmark", {"html": False, "maxNesting": 20})
    markdown.enable(["table", "strikethrough"])
    markdown.add_render_rule("image", alternative_text)
    formulas(markdown)

    def formula(
        renderer: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any
    ) -> str:
        text = tokens[place].content
        env["formulas"] = env.get("formulas", 0) + len(text)
        set_in_math = typeset(text) if env["formulas"] <= MAX_FORMULAS else None
        return set_in_math or as_written(renderer, tokens, place, options, env)

    markdown.add_render_rule("formula", formula)
    typeset("$x$")  # imports what reads formulas, which takes 90 ms

    def html_of(tokens: Sequence[Token], env: dict[str, int]) -> str:
        for token in tokens:
            # A page with a strict content policy drops inline style; `align` it keeps.
            style = token.attrs.pop("style", None)
            if style is not None:
                token.attrSet("align", str(style).removeprefix("text-align:"))
        html = markdown.renderer.render(tokens, markdown.options, env)
        return nh3.clean(
            html,
            tags=_TAGS | MATH_ELEMENTS,
            attributes=_ATTRIBUTES | {each: set(MATH_ATTRIBUTES) for each in MATH_ELEMENTS},
            attribute_filter=_allowed,
            url_schemes={"http", "https", "mailto"},
            link_rel=_LINK_REL,
        )

    return _Pipeline(markdown, html_of)


def _allowed(element: str, attribute: str, value: str) -> str | None:
    if element in MATH_ELEMENTS:
        return value
    pattern = _VALUES.get(attribute)
    return value if pattern is not None and pattern.fullmatch(value) else None
