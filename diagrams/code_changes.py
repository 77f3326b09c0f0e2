"""Whether the guards and actions of a machine compute what they did: their code in two versions of the
source, with that of all functions and constants of the project that they use.

Read from the text, so that neither version is imported. What is the same under another name, in another
module or in another format is no change.
"""

import ast
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import unified_diff
from functools import cache, partial
from itertools import islice
from typing import Literal

from diagrams.source import Codebase, Definition
from diagrams.syntax import Reading, read
from machines.declarations import Declaration

What = Literal["guard", "action", "every transition"]


@dataclass(frozen=True, slots=True)
class CodePart:
    """A function or a constant that says something else than it did."""

    name: str
    """As its module calls it; of a member, `Class.member`."""
    through: tuple[str, ...]
    """The functions that lead from the guard or action to it, without these two."""
    old: str
    """Its source; empty where it was not there."""
    new: str
    """Likewise; empty where it is not there any more."""

    @property
    def diff(self) -> tuple[str, ...]:
        """The lines of a unified diff, without those of its head."""
        head = 3  # the names of two files, and where the first difference is
        lines = unified_diff(self.old.splitlines(), self.new.splitlines(), lineterm="")
        return tuple("@@" if each.startswith("@@") else each for each in islice(lines, head, None))


@dataclass(frozen=True, slots=True)
class RuleChange:
    """A guard or an action that both versions have, with other code."""

    what: What
    """`every transition` of the function with which a machine writes where a value stands."""
    name: str
    parts: tuple[CodePart, ...]
    """What is other in it, the nearest first: itself, or what it uses."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A function or a constant that says something else, once for all guards and actions that use it."""

    name: str
    part: CodePart
    uses: tuple[tuple[RuleChange, tuple[str, ...]], ...]
    """The guards and actions, each with what leads from it to this."""

    @property
    def itself(self) -> RuleChange | None:
        """The guard or action that it is, where it is one."""
        return next((rule for rule, _ in self.uses if rule.name == self.name), None)

    @property
    def users(self) -> Mapping[tuple[str, ...], list[str]]:
        """The names of those that use it, by what leads to it, the shortest first."""
        found: dict[tuple[str, ...], list[str]] = {}
        for rule, through in sorted(self.uses, key=lambda each: len(each[1])):
            if rule is not self.itself:
                found.setdefault(through, []).append(rule.name)
        return found


def findings(changed: Iterable[RuleChange]) -> tuple[Finding, ...]:
    """What is other in guards and actions: first they themselves, then what they use."""
    parts: dict[tuple[str, str, str], list[tuple[RuleChange, CodePart]]] = {}
    for rule in changed:
        for part in rule.parts:
            parts.setdefault((part.name, part.old, part.new), []).append((rule, part))
    found = (
        Finding(name, uses[0][1], tuple((rule, part.through) for rule, part in uses))
        for (name, _, _), uses in parts.items()
    )
    return tuple(sorted(found, key=lambda each: each.itself is None))


@dataclass(frozen=True, slots=True)
class Code:
    """What was found of the code of one machine."""

    changed: tuple[RuleChange, ...] = ()
    added: tuple[RuleChange, ...] = ()
    """Guards and actions that the newer declaration alone has, with their code."""
    renamed: tuple[tuple[str, str], ...] = ()
    """Those that have the code of one that is gone: its name, and theirs."""
    unknown: tuple[str, ...] = ()
    """Guards and actions that were not compared, since the source of a side does not have them."""


_Pair = tuple[Definition | None, Definition | None]
"""A function or a constant as it was and as it is; None where it is not there."""


class CodeComparison:
    """Two versions of the source."""

    def __init__(self, old: Codebase, new: Codebase) -> None:
        self._old = old
        self._new = new
        self._read_old = cache(partial(read, old))
        self._read_new = cache(partial(read, new))

    def of(self, old: Declaration, new: Declaration) -> Code:
        """Compare what two declarations of one machine both name.

        Raises:
            UnreadableSource: a module cannot be parsed.
        """
        changed: list[RuleChange] = []
        added: list[RuleChange] = []
        renamed: list[tuple[str, str]] = []
        unknown: list[str] = []
        before, after = _Rules(self._old, old), _Rules(self._new, new)
        rules: tuple[tuple[What, dict[str, str], dict[str, str]], ...] = (
            ("guard", old.guards, new.guards),
            ("action", old.actions, new.actions),
        )
        for what, was, now in rules:
            for name in sorted(was.keys() & now.keys()):
                one, other = before.find(name), after.find(name)
                if one is None or other is None:
                    unknown.append(name)
                elif parts := tuple(self._parts(one, other)):
                    changed.append(RuleChange(what, name, parts))
            gone = [(name, before.find(name)) for name in sorted(was.keys() - now.keys())]
            for name in sorted(now.keys() - was.keys()):
                new_one = after.find(name)
                if new_one is None:
                    continue
                former = next((each for each, one in gone if self._is_same(one, new_one)), None)
                if former is None:
                    added.append(RuleChange(what, name, tuple(self._parts(None, new_one))))
                else:
                    renamed.append((former, name))
        if (
            before.place
            and after.place
            and (parts := tuple(self._parts(before.place, after.place)))
        ):
            changed.append(RuleChange("every transition", after.place.name, parts))
        return Code(tuple(changed), tuple(added), tuple(renamed), tuple(unknown))

    def _is_same(self, old: Definition | None, new: Definition) -> bool:
        return old is not None and not any(self._parts(old, new))

    def _parts(self, old: Definition | None, new: Definition) -> Iterator[CodePart]:
        """What is other in a function, and in all that it uses, the nearest first."""
        seen: set[_Pair] = set()
        waiting: deque[tuple[_Pair, tuple[str, ...] | None]] = deque([((old, new), None)])
        while waiting:
            pair, through = waiting.popleft()
            if pair in seen:
                continue
            seen.add(pair)
            before, after = (
                None if pair[0] is None else self._read_old(pair[0]),
                None if pair[1] is None else self._read_new(pair[1]),
            )
            here = pair[1] or pair[0]
            assert here is not None  # noqa: S101 - it is on one side
            if before is None or after is None or before.shape != after.shape:
                was, now = (each.text if each else "" for each in pair)
                yield CodePart(here.name, through or (), was, now)
            further = () if through is None else (*through, here.name)
            waiting.extend((each, further) for each in self._pairs(before, after))

    def _pairs(self, old: Reading | None, new: Reading | None) -> Iterator[_Pair]:
        """What two versions of a function use, each beside what it was."""
        if old and new and old.shape == new.shape:
            yield from zip(old.named, new.named, strict=True)
            left, right = old.members, new.members
        else:
            left, right = _by_name(old), _by_name(new)
        for name in dict.fromkeys((*left, *right)):
            one, other = left.get(name), right.get(name)
            # What is used on one side alone may well be there on the other.
            yield (
                one or (other and _counterpart(self._old, other)),
                other or (one and _counterpart(self._new, one)),
            )


def _by_name(reading: Reading | None) -> dict[str, Definition]:
    if reading is None:
        return {}
    return {**{each.name: each for each in reading.named}, **reading.members}


def _counterpart(code: Codebase, definition: Definition) -> Definition | None:
    """What another version has by the same name in the same module."""
    first, _, member = definition.name.partition(".")
    found = code.find(definition.module, first)
    if not isinstance(found, Definition):
        return None
    return code.member(found, member) if member else found


class _Rules:
    """The guards and actions that a chart names, where its source is."""

    def __init__(self, code: Codebase, declared: Declaration) -> None:
        self._code = code
        self._chart: Definition | None = None
        self._named: dict[str, list[ast.expr]] = {}
        rules = declared.guards.keys() | declared.actions.keys()
        most = 0
        # What else names the machine names fewer of its guards and actions, if any.
        for chart in code.named(declared.machine):
            named = _names(chart.node)
            if self._chart is None or len(rules & named.keys()) > most:
                self._chart, self._named, most = chart, named, len(rules & named.keys())

    def find(self, name: str) -> Definition | None:
        """The function of that name; None where the source does not lead to one."""
        return self._first(self._named.get(name, ()))

    @property
    def place(self) -> Definition | None:
        """What writes into a value where it stands: `place` of the `Machine` of the chart."""
        if self._chart is None:
            return None
        calls = (
            each
            for definition in self._code.definitions(self._chart.module)
            for each in ast.walk(definition.node)
            if isinstance(each, ast.Call)
        )
        return self._first(
            argument.value
            for call in calls
            if any(isinstance(each, ast.Name) and each.id == self._chart.name for each in call.args)
            for argument in call.keywords
            if argument.arg == "place"
        )

    def _first(self, nodes: Iterable[ast.expr]) -> Definition | None:
        if self._chart is None:
            return None
        found = (self._code.dotted(self._chart.module, each) for each in nodes)
        return next(
            (each for each in found if isinstance(each, Definition) and not each.is_class), None
        )


def _names(node: ast.AST) -> dict[str, list[ast.expr]]:
    """By a name, or the last of names with dots between: where it stands."""
    named: dict[str, list[ast.expr]] = {}
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            named.setdefault(each.id, []).append(each)
        elif isinstance(each, ast.Attribute):
            named.setdefault(each.attr, []).append(each)
    return named
