"""What changed in the code of guards and actions, in words: for a summary in Markdown, for the head of a
drawing and for the explanation of an edge."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from diagrams.code_changes import CodePart, Finding, RuleChange, findings

_OPEN_UP_TO: Final = 24
"""Lines of a difference that a summary shows at once; a longer one is folded."""
_OPEN_PLACES: Final = 6
"""Edges that a summary names at once."""
_MOST_LINES: Final = 400
"""Of one difference in a summary."""
_MOST_IN_HEAD: Final = 6
"""Lines of one difference, and differences, at the head of a drawing."""


def one_line_texts(changed: Iterable[RuleChange]) -> tuple[str, str] | None:
    """The line as it was and as it is, where one line is all that is other."""
    found = findings(changed)
    if len(found) != 1:
        return None
    changes = _changed_lines(found[0].part)
    removed = [each[1:].strip() for each in changes if each.startswith("-")]
    added = [each[1:].strip() for each in changes if each.startswith("+")]
    if max(len(removed), len(added)) > 1:
        return None
    return ("".join(removed), "".join(added))


def named(changed: Iterable[RuleChange]) -> str:
    """The guards and actions, and through what each changed where it did not itself."""
    return ", ".join(_rule(each) for each in changed)


def _rule(rule: RuleChange) -> str:
    first = rule.parts[0]
    return rule.name if first.name == rule.name else f"{rule.name} through {first.name}"


def _heading(finding: Finding) -> str:
    """What it is, and who uses it; names stand between backquotes."""
    said = [f"`{finding.name}`"]
    if finding.itself is not None:
        said.append(f"({finding.itself.what})")
    users = [
        _listed(names) + (f" through {_listed(through)}" if through else "")
        for through, names in finding.users.items()
    ]
    if users:
        said.append(f"used by {'; '.join(users)}")
    return " ".join(said)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{each}`" for each in names)


# --- Markdown ------------------------------------------------------------------------------------


def markdown(
    changed: Iterable[RuleChange],
    added: Iterable[RuleChange],
    places: Callable[[RuleChange], Iterable[str]],
) -> Iterator[str]:
    """Lines of a summary: each difference once with the edges that it changes, then the code of what is
    new.

    Args:
        places: the edges on which a guard or an action stands, in words.
    """
    for title, rules in (("Code that changed", changed), ("Code that is new", added)):
        found = findings(rules)
        if found:
            yield f"### {title}"
            yield ""
        for each in found:
            yield from _block(_heading(each), each.part)
            on = dict.fromkeys(place for rule, _ in each.uses for place in places(rule))
            yield from _list(tuple(on))


def _list(places: Sequence[str]) -> Iterator[str]:
    if len(places) <= _OPEN_PLACES:
        yield from (f"- {each}" for each in places)
    else:
        yield from ("<details>", f"<summary>on {len(places)} edges</summary>", "")
        yield from (f"- {each}" for each in places)
        yield from ("", "</details>")
    yield ""


def _block(heading: str, part: CodePart) -> Iterator[str]:
    lines = list(part.diff) or [" The text is the same; a name in it stands for something else."]
    left = len(lines) - _MOST_LINES
    if left > 0:
        lines = [*lines[:_MOST_LINES], f"@@ {left} more lines"]
    fence = "`" * max(3, 1 + max((_backquotes(each) for each in lines), default=0))
    block = [f"{fence}diff", *lines, fence]
    if len(lines) <= _OPEN_UP_TO:
        yield from (f"{heading}:", "", *block, "")
    else:
        count = len(_changed_lines(part))
        plain = heading.replace("`", "")
        summary = f"<summary>{plain}: {count} lines</summary>"
        yield from ("<details>", summary, "", *block, "", "</details>", "")


def _backquotes(line: str) -> int:
    """The longest run of them."""
    return max(map(len, re.findall("`+", line)), default=0)


def _changed_lines(part: CodePart) -> list[str]:
    return [each for each in part.diff if each.startswith(("+", "-"))]


# --- On a drawing --------------------------------------------------------------------------------


def explained(changed: Iterable[RuleChange]) -> Iterator[str]:
    """Lines for the explanation of an edge: every difference whole."""
    for each in findings(changed):
        yield f"{_heading(each).replace('`', '')}:"
        yield from each.part.diff


class Shown(NamedTuple):
    """A difference at the head of a drawing."""

    heading: str
    lines: tuple[str, ...]
    """Each begins with `+` or `-`; the last may say how many more there are."""


def shown(changed: Iterable[RuleChange]) -> Iterator[Shown]:
    """The differences for the head of a drawing, as far as there is room."""
    found = findings(changed)
    for each in found[:_MOST_IN_HEAD]:
        lines = _changed_lines(each.part)
        left = len(lines) - _MOST_IN_HEAD
        more = (f"{left} more lines are in the summary",) if left > 0 else ()
        yield Shown(
            _heading(each).replace("`", ""), (*_without_margin(lines[:_MOST_IN_HEAD]), *more)
        )
    if len(found) > _MOST_IN_HEAD:
        yield Shown(f"{len(found) - _MOST_IN_HEAD} more differences are in the summary", ())


def _without_margin(lines: list[str]) -> Iterator[str]:
    margin = min(
        (len(each[1:]) - len(each[1:].lstrip()) for each in lines if each[1:].strip()), default=0
    )
    return (each[0] + each[1 + margin :] for each in lines)
