"""Everything that a document points to is there: files, headings, and paths that it only names."""

import re
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.markdown import ROOT, Document, document, documents

_FOLDERS: Final = frozenset(
    {"machines", "storage", "diagrams", "server", "tests", "benchmarks", "docs", "deploy"}
)
_PATH: Final = re.compile(r"^[\w.-]+(?:/[\w.-]+)+/?$")
_FILE: Final = re.compile(r"^[\w-]+\.(?:py|js|css|md|toml|svg)$")
_NAME: Final = re.compile(
    r"^(?:[a-z]+(?:_[a-z0-9]+)+|[A-Z][a-z]+[A-Z]\w*|[A-Z]\w*\.\w+)(?:_?\.{3})?$"
)
"""A name of the code: `snake_case`, `CamelCase`, `Class.method`; dots at its end cut it short."""
_FOREIGN: Final = frozenset({"batch_update_points"})
"""Names of other people's code."""
_HISTORY: Final = frozenset({"CHANGELOG.md", "benchmarks/RESULTS.md"})
"""What they name was there once."""
_OUTSIDE: Final = frozenset({"http", "https", "mailto"})


@pytest.fixture(params=documents(), ids=lambda each: str(each.name))
def page(request: pytest.FixtureRequest) -> Document:
    """Each document in turn."""
    page: Document = request.param
    return page


def test_every_link_leads_somewhere(page: Document) -> None:
    problems = [problem for link in page.links if (problem := _problem(page, link))]
    assert not problems, f"{page.name}:\n" + "\n".join(problems)


def test_every_path_that_is_named_exists(page: Document) -> None:
    missing = [
        each
        for each in page.code
        if _PATH.match(each) and each.split("/")[0] in _FOLDERS and not (ROOT / each).exists()
    ]
    missing += [each for each in page.code if _FILE.match(each) and each not in _file_names()]
    assert not missing, f"{page.name} names what is not there: {missing}"


def test_every_name_of_the_code_occurs_in_it(page: Document) -> None:
    names = () if page.name in _HISTORY else page.code
    missing = [
        each for each in names if _NAME.match(each) and each not in _FOREIGN and not _occurs(each)
    ]
    assert not missing, f"{page.name} names what the code does not: {missing}"


def test_the_index_lists_every_document() -> None:
    index = document("docs/README.md")
    listed = {(index.path.parent / link).resolve() for link in index.links}
    there = {each.path for each in documents() if each.name.startswith("docs/")} - {index.path}
    assert not {path.relative_to(ROOT) for path in there - listed}, "docs/README.md must list them"


def _problem(page: Document, link: str) -> str | None:
    parts = urlsplit(link)
    if parts.scheme in _OUTSIDE:
        return None
    if parts.scheme or parts.path.startswith("/"):
        return f"{link} must be relative to the file that it stands in"
    target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
    if not target.is_relative_to(ROOT):
        return f"{link} leads out of the repository"
    if not target.exists():
        return f"{link} is not there"
    if parts.fragment:
        if target.suffix != ".md":
            return f"{link} names a heading of what is no document"
        if parts.fragment not in Document(target).anchors:
            return f"{link} names no heading of {target.relative_to(ROOT)}"
    return None


def _occurs(name: str) -> bool:
    if name.endswith("..."):
        return any(each.startswith(name.removesuffix("...")) for each in _words())
    return set(name.split(".")) <= _words()


@cache
def _words() -> frozenset[str]:
    """Every identifier of the Python and JavaScript files."""
    words: set[str] = set()
    for folder in _FOLDERS - {"docs"}:
        for file in (ROOT / folder).rglob("*"):
            if file.suffix in {".py", ".js"}:
                words.update(re.findall(r"\w+", file.read_text(encoding="utf-8")))
    return frozenset(words)


@cache
def _file_names() -> frozenset[str]:
    """Names of all files of the repository's own folders."""
    folders = [ROOT / each for each in _FOLDERS]
    return frozenset(
        path.name for folder in folders for path in folder.rglob("*") if path.is_file()
    ) | frozenset(path.name for path in ROOT.iterdir())


def test_the_rules_of_the_check_itself(tmp_path: Path) -> None:
    page = Document(ROOT / "README.md")
    assert _problem(page, "docs/protocol.md#errors") is None
    assert _problem(page, "https://example.org/x") is None
    assert _problem(page, "docs/protocol.md#no-such-heading")
    assert _problem(page, "docs/absent.md")
    assert _problem(page, "/docs/protocol.md")
    assert _problem(page, "../elsewhere.md")
    written = tmp_path / "page.md"
    written.write_text('# `One` & two\n# Twice\n# Twice\n<img src="a.png">\n\n[b](c.md)\n')
    assert Document(written).anchors == {"one--two", "twice", "twice-1"}
    assert Document(written).links == ("a.png", "c.md")
