"""Formulas in Markdown: `$x$`, `$$x$$`, `\\(x\\)` and `\\[x\\]` stay as they are written.

Markdown reads an underscore or an asterisk inside a formula as emphasis, and takes the backslash of
its brackets away. Here a formula is a token of its own; where it is not typeset it is a
`<code class="language-math">`, so that it can be read, and copied into whatever typesets it.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

MAX_CHARACTERS: Final = 2_000
"""Code points of a formula; so far its end is looked for."""

_ENDS: Final = (("$$", "$$"), ("\\(", "\\)"), ("\\[", "\\]"))
_IN_DOLLARS: Final = re.compile(r"\$(?![\s$])(?:\\.|[^$\\\n]){0,2000}?(?<!\s)\$(?!\d)")
"""As pandoc has it: nothing blank inside the dollars, and no digit behind, so that prices are none."""

_OPERATOR: Final = re.compile(r"[\\^_=+*/<>{}|-]")
"""What a formula between brackets holds; brackets around words alone are brackets."""


def formulas(markdown: MarkdownIt) -> None:
    """Let a renderer leave formulas as they are written."""
    markdown.inline.ruler.before("escape", "formula", _formula)
    markdown.add_render_rule("formula", as_written)


def _formula(state: StateInline, silent: bool) -> bool:
    end = _end_of(state.src, state.pos)
    if end is None:
        return False
    if not silent:
        token = state.push("formula", "code", 0)
        token.content = state.src[state.pos : end]
    state.pos = end
    return True


def _end_of(text: str, start: int) -> int | None:
    for begin, finish in _ENDS:
        if text.startswith(begin, start):
            end = text.find(finish, start + 2, start + MAX_CHARACTERS)
            found = end > 0 and _OPERATOR.search(text, start + 2, end)
            return end + 2 if found else None
    if text[start] != "$":
        return None
    found = _IN_DOLLARS.match(text, start)
    return None if found is None else found.end()


def as_written(
    _renderer: RendererHTML, tokens: Sequence[Token], place: int, _options: Any, _env: Any
) -> str:
    """The HTML of a formula that is not typeset."""
    return f'<code class="language-math">{escapeHtml(tokens[place].content)}</code>'
