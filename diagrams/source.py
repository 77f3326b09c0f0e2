"""Python source as it stands in its files: functions, constants and classes, found by their names. Nothing
of it is imported or run.

What no name in it leads to is not found: a function that is chosen at run time, a name that a loop or a
star import binds.
"""

import ast
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from textwrap import dedent
from typing import Final, NewType

Function = ast.FunctionDef | ast.AsyncFunctionDef
Assigned = ast.Assign | ast.AnnAssign

ModuleName = NewType("ModuleName", str)
"""Dotted, of a module that is there."""


class UnreadableSource(ValueError):
    """A module is no Python that this version reads; the message is one sentence that says which."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What source from elsewhere defines: a library's, or Python's own."""

    name: str
    """Dotted."""


@dataclass(frozen=True, eq=False)
class Definition:
    """A function, a constant, a class or a member of one."""

    module: ModuleName
    name: str
    """As its module calls it; of a member, `Class.member`."""
    node: Function | ast.ClassDef | Assigned
    lines: tuple[str, ...]
    """Of its module."""
    owner: "Definition | None" = None
    """The class that it is a member of."""

    @property
    def is_class(self) -> bool:
        return isinstance(self.node, ast.ClassDef)

    @cached_property
    def text(self) -> str:
        """Its lines with decorators and comments, without the indentation that they share."""
        decorators = getattr(self.node, "decorator_list", [])
        first = min((each.lineno for each in decorators), default=self.node.lineno)
        return dedent("\n".join(self.lines[first - 1 : self.node.end_lineno]))


Found = Definition | ModuleName | Outside
"""What a name stands for."""

_PACKAGE: Final = "__init__"


def module_name(parts: Iterable[str]) -> str:
    """The dotted name of a file by the parts of its path, the last without its ending."""
    *around, last = parts
    return ".".join(around if last == _PACKAGE else [*around, last])


class Codebase:
    """The modules of one version of a project; each is parsed when it is first asked for."""

    def __init__(
        self,
        texts: Mapping[str, str],
        packages: Iterable[str] = (),
        *,
        like: "Codebase | None" = None,
    ) -> None:
        """
        Args:
            texts: the source of each module by its dotted name.
            packages: the names of those that are packages.
            like: another version; modules that have the same text in both are parsed once.
        """
        self._texts = texts
        self._packages = frozenset(packages)
        self._like = like
        self._modules: dict[str, _Module] = {}
        self._members: dict[tuple[Definition, str], Definition | None] = {}

    def named(self, machine: str) -> Iterator[Definition]:
        """The classes that have `machine = "..."` in them: the chart, and what else names it so.

        Raises:
            UnreadableSource: a module that may have one cannot be parsed.
        """
        for name, text in self._texts.items():
            # Parsed are only modules that may have it.
            if "machine" in text and f'"{machine}"' in text.replace("'", '"'):
                for each in self._module(name).definitions.values():
                    if isinstance(each.node, ast.ClassDef) and _names_machine(each.node, machine):
                        yield each

    def definitions(self, module: ModuleName) -> Iterable[Definition]:
        """What a module defines at its top.

        Raises:
            UnreadableSource: it cannot be parsed.
        """
        return self._module(module).definitions.values()

    def find(self, module: str, name: str) -> Found | None:
        """What a name stands for at the top of a module, wherever that is defined; None where it is not
        bound there, as the names of built-ins are not.

        Raises:
            UnreadableSource: a module on the way cannot be parsed.
        """
        seen: set[tuple[str, str]] = set()
        while (module, name) not in seen:
            seen.add((module, name))
            dotted = f"{module}.{name}"
            if module not in self._texts:
                return ModuleName(dotted) if dotted in self._texts else Outside(dotted)
            here = self._module(module)
            if name in here.definitions:
                return here.definitions[name]
            if name not in here.imports:
                return ModuleName(dotted) if dotted in self._texts else None
            module, imported = here.imports[name]
            if imported is None:
                return ModuleName(module) if self._is_ours(module) else Outside(module)
            name = imported
        return None

    def member(self, owner: Definition, name: str) -> Definition | None:
        """What a class, or the first of its bases that has it, defines by a name.

        Raises:
            UnreadableSource: the module of a base cannot be parsed.
        """
        key = (owner, name)
        if key not in self._members:
            self._members[key] = None  # a class that is its own base ends here
            self._members[key] = self._member(owner, name)
        return self._members[key]

    def _member(self, owner: Definition, name: str) -> Definition | None:
        if not isinstance(owner.node, ast.ClassDef):
            return None
        for each, node in _bound(owner.node.body):
            if each == name:
                return Definition(owner.module, f"{owner.name}.{name}", node, owner.lines, owner)
        for base in owner.node.bases:
            found = self.dotted(
                owner.module, base.value if isinstance(base, ast.Subscript) else base
            )
            if isinstance(found, Definition) and (member := self.member(found, name)):
                return member
        return None

    def dotted(self, module: str, node: ast.expr) -> Found | None:
        """What a name, or names with dots between, stands for in a module; None for other expressions.

        Raises:
            UnreadableSource: a module on the way cannot be parsed.
        """
        if isinstance(node, ast.Name):
            return self.find(module, node.id)
        if isinstance(node, ast.Attribute):
            match self.dotted(module, node.value):
                case Outside(name=name):
                    return Outside(f"{name}.{node.attr}")
                case str() as inner:
                    return self.find(inner, node.attr)
                case _:
                    return None
        return None

    def _is_ours(self, module: str) -> bool:
        return module in self._texts or any(each.startswith(f"{module}.") for each in self._texts)

    def _module(self, name: str) -> "_Module":
        if name not in self._modules:
            like = self._like if self._like and self._is_alike(self._like, name) else None
            self._modules[name] = like._module(name) if like else self._parsed(name)
        return self._modules[name]

    def _is_alike(self, other: "Codebase", name: str) -> bool:
        """Whether a module has the same text and the same kind in another version."""
        return other._texts.get(name) == self._texts[name] and (name in other._packages) is (
            name in self._packages
        )

    def _parsed(self, name: str) -> "_Module":
        text = self._texts[name]
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise UnreadableSource(f"{name} cannot be parsed as Python") from error
        around = name if name in self._packages else name.rpartition(".")[0]
        # Lines as Python counts them: a form feed, or U+2028 in a string, ends none.
        lines = tuple(line.rstrip("\n") for line in io.StringIO(text, newline=None))
        return _Module(ModuleName(name), around, tree, lines)


class _Module:
    """What a module binds at its top."""

    def __init__(
        self, name: ModuleName, package: str, tree: ast.Module, lines: tuple[str, ...]
    ) -> None:
        self.definitions = {
            each: Definition(name, each, node, lines) for each, node in _bound(tree.body)
        }
        self.imports = {
            each: leads for node in _flat(tree.body) for each, leads in _imported(node, package)
        }
        """By the name that is bound: a module, and a name in it or None for the module itself."""


def _bound(
    body: Iterable[ast.stmt],
) -> Iterator[tuple[str, Function | ast.ClassDef | Assigned]]:
    """What statements bind, with the statement."""
    for node in _flat(body):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node
            case ast.Assign(targets=targets):
                for target in targets:
                    for part in ast.walk(target):
                        if isinstance(part, ast.Name):
                            yield part.id, node
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name, node
            case _:
                pass


def _flat(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements, with those in branches at the same level."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try):
            yield from _flat([*node.body, *node.orelse])


def _imported(node: ast.stmt, package: str) -> Iterator[tuple[str, tuple[str, str | None]]]:
    match node:
        case ast.Import(names=names):
            for each in names:
                if each.asname:
                    yield each.asname, (each.name, None)
                else:
                    first = each.name.partition(".")[0]
                    yield first, (first, None)
        case ast.ImportFrom(module=module, names=names, level=level):
            above = package.split(".")[: len(package.split(".")) - max(level - 1, 0)]
            origin = ".".join([*above, *([module] if module else [])]) if level else module or ""
            for each in names:
                yield each.asname or each.name, (origin, each.name)
        case _:
            pass


def _names_machine(node: ast.ClassDef, machine: str) -> bool:
    return any(
        name == "machine"
        and isinstance(each, ast.Assign | ast.AnnAssign)
        and isinstance(each.value, ast.Constant)
        and each.value.value == machine
        for name, each in _bound(node.body)
    )
