"""Reads the project's Markdown: headings, links, code and tables, as a code host would render them."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT: Final = Path(__file__).parents[2]

_NOT_OURS: Final = frozenset({"node_modules", "chorus-data", "dist"})
_HTML_LINK: Final = re.compile(r'(?:src|href)="([^"]+)"')
_NOT_IN_A_SLUG: Final = re.compile(r"[^\w\- ]")


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: str
    code: tuple[str, ...]
    """What stands between backticks in it."""


Row = tuple[Cell, ...]


@dataclass(frozen=True)
class Document:
    """One Markdown file."""

    path: Path

    @property
    def name(self) -> str:
        """Its path below the repository."""
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tokens(self) -> list[Token]:
        """As markdown-it parses it, tables included."""
        return MarkdownIt("commonmark").enable("table").parse(self.text)

    @cached_property
    def anchors(self) -> frozenset[str]:
        """What a `#fragment` may name: a slug for each heading, as code hosts make them."""
        seen: Counter[str] = Counter()
        slugs = set()
        for heading, content in _pairs(self.tokens, "heading_open"):
            del heading
            slug = _NOT_IN_A_SLUG.sub("", _plain(content).lower()).replace(" ", "-")
            slugs.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
        return frozenset(slugs)

    @cached_property
    def links(self) -> tuple[str, ...]:
        """Targets of links and images, those of embedded HTML too."""
        return tuple(_links(self.tokens))

    @cached_property
    def code(self) -> tuple[str, ...]:
        """What stands between backticks, outside code blocks."""
        return tuple(
            child.content
            for token in self.tokens
            for child in token.children or ()
            if child.type == "code_inline"
        )

    def blocks(self, language: str) -> tuple[str, ...]:
        """The code blocks in `language`."""
        return tuple(
            token.content
            for token in self.tokens
            if token.type == "fence" and token.info.strip() == language
        )

    def section(self, heading: str) -> "Section":
        """What stands under a heading, up to the next one of any level. Raises KeyError."""
        found: list[Token] | None = None
        for index, token in enumerate(self.tokens):
            if token.type == "heading_open":
                if found is not None:
                    break
                if _plain(self.tokens[index + 1]) == heading:
                    found = []
            elif found is not None:
                found.append(token)
        if found is None:
            raise KeyError(f"{self.name} has no heading {heading!r}")
        return Section(tuple(found))


@dataclass(frozen=True)
class Section:
    """A part of a document."""

    tokens: tuple[Token, ...]

    @cached_property
    def tables(self) -> tuple[tuple[Row, ...], ...]:
        """The tables in it, each without its heading row."""
        return tuple(_tables(self.tokens))

    def table(self, place: int = 0) -> tuple[Row, ...]:
        """One of them."""
        return self.tables[place]

    @property
    def console(self) -> str:
        """Its console blocks."""
        return "".join(
            token.content
            for token in self.tokens
            if token.type == "fence" and token.info.strip() == "console"
        )


@cache
def documents() -> tuple[Document, ...]:
    """Every Markdown file of the repository, in the order of their paths."""
    return tuple(Document(path) for path in sorted(_markdown_files()))


def document(name: str) -> Document:
    """The one with this path below the repository."""
    return Document(ROOT / name)


def commands(console: str) -> tuple[tuple[str, str], ...]:
    """The commands of a console block, each with what is shown beneath it."""
    found: list[tuple[str, list[str]]] = []
    for line in console.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found:
            found[-1][1].append(line)
    return tuple((command, "\n".join(shown)) for command, shown in found)


def _markdown_files() -> Iterator[Path]:
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [each for each in folders if each not in _NOT_OURS and each[0] != "."]
        for each in files:
            if each.endswith(".md"):
                yield Path(folder, each)


def _pairs(tokens: list[Token], kind: str) -> Iterator[tuple[Token, Token]]:
    """Each opening token of a kind with the inline token that follows."""
    for opening, content in pairwise(tokens):
        if opening.type == kind:
            yield opening, content


def _plain(inline: Token) -> str:
    return "".join(
        child.content for child in inline.children or () if child.type in {"text", "code_inline"}
    )


def _links(tokens: list[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type in {"html_block", "html_inline"}:
            yield from _HTML_LINK.findall(token.content)
        elif token.type == "link_open":
            yield str(token.attrs["href"])
        elif token.type == "image":
            yield str(token.attrs["src"])
        yield from _links(token.children or [])


def _tables(tokens: tuple[Token, ...]) -> Iterator[tuple[Row, ...]]:
    rows: list[Row] = []
    cells: list[Cell] = []
    for token, content in pairwise(tokens):
        match token.type:
            case "tbody_open":
                rows = []
            case "tr_open":
                cells = []
            case "td_open":
                children = content.children or ()
                code = tuple(each.content for each in children if each.type == "code_inline")
                cells.append(Cell(_plain(content).strip(), code))
            case "tr_close" if cells:
                rows.append(tuple(cells))
            case "tbody_close":
                yield tuple(rows)
            case _:
                pass
