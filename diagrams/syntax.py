"""What a function or a constant says, without how it is written, and which others it names.

Comments, docstrings, annotations and format are left out. A function or a constant of the same source
stands in it by its place alone, so that neither its name nor its module counts; what it says is compared
on its own. Members are found by annotations: of parameters, fields and what functions return. Where
these say nothing, a member counts by its name.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from diagrams.source import Assigned, Codebase, Definition, Function, Outside, UnreadableSource

Shape = tuple[object, ...]
"""Syntax as nested tuples, which are equal where the syntax is."""

_LEFT_OUT: Final = frozenset(
    {"ctx", "type_comment", "kind", "returns", "annotation", "type_params"}
)
_DEEPEST: Final = 8
"""Aliases and unions that lead to a class."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A function or a constant."""

    shape: Shape
    named: tuple[Definition, ...]
    """Functions and constants that it names, in the order of their places in the shape."""
    members: dict[str, Definition]
    """Methods, properties and fields with a default that it asks values for, by `Class.member`."""


def read(code: Codebase, definition: Definition) -> Reading:
    """Read a function or a constant; a class says nothing by itself.

    Raises:
        UnreadableSource: a module that it leads to cannot be parsed, or it is nested too deep.
    """
    try:
        reader = _Reader(code, definition)
        shape = reader.whole(definition.node)
    except RecursionError as error:
        where = f"{definition.name} of {definition.module}"
        raise UnreadableSource(f"{where} is nested too deep to be compared") from error
    return Reading(shape, tuple(reader.named), reader.members)


class _Annotated(NamedTuple):
    """An annotation, and where its names are looked up."""

    node: ast.expr
    module: str
    owner: Definition | None


class _Reader:
    def __init__(self, code: Codebase, definition: Definition) -> None:
        self.named: list[Definition] = []
        self.members: dict[str, Definition] = {}
        self._code = code
        self._definition = definition
        self._module = definition.module
        node = definition.node
        self._local: frozenset[str] = frozenset()
        self._known: dict[str, list[_Annotated]] = {}
        """What is known of local names."""
        self._classes: dict[str, frozenset[Definition]] = {}
        if isinstance(node, Function):
            self._local = frozenset(_bound_within(node))
            self._learn(node)

    def whole(self, node: ast.AST) -> Shape:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return self._function(node)
            case ast.Assign() | ast.AnnAssign():
                return ("constant", self._shape(node.value))
            case _:
                return ()

    # --- Shapes ---

    def _function(self, node: Function) -> Shape:
        kind = type(node).__name__
        return (
            kind,
            self._shape(node.decorator_list),
            self._shape(node.args),
            self._shape(node.body),
        )

    def _shape(self, node: object) -> object:
        match node:
            case list():
                return tuple(self._shape(each) for each in node if not _says_nothing(each))
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return (node.name, *self._function(node))
            case (
                ast.Assign(targets=[target], value=value)
                | ast.AnnAssign(target=target, value=value)
            ):
                return ("=", self._shape(target), self._shape(value))
            case ast.Name() | ast.Attribute():
                return self._name(node)
            case ast.Constant(value=value):
                return (type(value).__name__, repr(value))
            case ast.AST():
                fields = (
                    self._shape(each)
                    for name, each in ast.iter_fields(node)
                    if name not in _LEFT_OUT
                )
                return (type(node).__name__, *fields)
            case _:
                return node

    def _name(self, node: ast.Name | ast.Attribute) -> Shape:
        match self._found(node):
            case Definition(is_class=True) as found:
                return ("class", found.name)
            case Definition() as found:
                if (aliased := self._specialised(found)) is not None:
                    return ("class", aliased.name)
                self.named.append(found)
                return ("named",)
            case Outside(name=name):
                return ("outside", name)
            case str() as module:
                return ("module", module)
            case None:
                pass
        if isinstance(node, ast.Name):
            return ("name", node.id)
        for owner in self._owners(node.value):
            member = self._code.member(owner, node.attr)
            if member is not None and not _is_bare(member.node):
                self.members[member.name] = member
        return ("member", self._shape(node.value), node.attr)

    def _found(self, node: ast.expr) -> Definition | str | Outside | None:
        """What names with dots between stand for, where the first is no local one."""
        first = node
        while isinstance(first, ast.Attribute):
            first = first.value
        if not isinstance(first, ast.Name) or first.id in self._local:
            return None
        return self._code.dotted(self._module, node)

    def _specialised(self, found: Definition) -> Definition | None:
        """The class that a name such as `Answer = Reaction[Run, Frame]` stands for."""
        if isinstance(found.node, ast.Assign) and isinstance(found.node.value, ast.Subscript):
            origin = self._code.dotted(found.module, found.node.value.value)
            if isinstance(origin, Definition) and origin.is_class:
                return origin
        return None

    # --- Which classes a value may have ---

    def _learn(self, node: Function) -> None:
        """What annotations, and values that are bound to a name, say of local names."""
        owner = self._definition.owner
        for each in ast.walk(node):
            if isinstance(each, ast.arg) and each.annotation is not None:
                self._note(each.arg, [_Annotated(each.annotation, self._module, owner)])
        arguments = [*node.args.posonlyargs, *node.args.args]
        if owner is not None and arguments and arguments[0].annotation is None:
            self._classes[arguments[0].arg] = frozenset({owner})
        for each in ast.walk(node):
            match each:
                case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                    self._note(name, [_Annotated(annotation, self._module, owner)])
                case (
                    ast.Assign(targets=[ast.Name(id=name)], value=value)
                    | ast.NamedExpr(target=ast.Name(id=name), value=value)
                ):
                    self._note(name, self._annotations(value))
                    self._classes[name] = self._classes.get(name, frozenset()) | self._made(value)
                case (
                    ast.For(target=ast.Name(id=name), iter=values)
                    | ast.comprehension(target=ast.Name(id=name), iter=values)
                ):
                    self._note(name, _elements(self._annotations(values)))
                case _:
                    pass

    def _note(self, name: str, annotations: Iterable[_Annotated]) -> None:
        self._known.setdefault(name, []).extend(annotations)

    def _owners(self, node: ast.expr) -> list[Definition]:
        found = {
            each
            for annotated in self._annotations(node)
            for each in self._named_by(annotated, _DEEPEST)
        }
        return sorted(found | self._made(node), key=lambda each: (each.module, each.name))

    def _made(self, node: ast.expr) -> frozenset[Definition]:
        """Classes that an expression says itself: the class, a call of one, a local name for either."""
        if isinstance(node, ast.Name) and node.id in self._local:
            return self._classes.get(node.id, frozenset())
        found = self._found(node.func if isinstance(node, ast.Call) else node)
        return (
            frozenset({found}) if isinstance(found, Definition) and found.is_class else frozenset()
        )

    def _annotations(self, node: ast.expr) -> list[_Annotated]:
        """What is annotated of an expression's value."""
        match node:
            case ast.Name(id=name) if name in self._local:
                return self._known.get(name, [])
            case ast.Call(func=called):
                found = self._found(called)
                if isinstance(found, Definition):
                    return _returned(found)
                return self._of_members(called)
            case ast.Attribute():
                return self._of_members(node)
            case ast.IfExp(body=one, orelse=other):
                return [*self._annotations(one), *self._annotations(other)]
            case ast.BoolOp(values=values):
                return [found for each in values for found in self._annotations(each)]
            case ast.NamedExpr(value=value):
                return self._annotations(value)
            case ast.Subscript(value=value):
                return _elements(self._annotations(value))
            case _:
                return []

    def _of_members(self, node: ast.expr) -> list[_Annotated]:
        if not isinstance(node, ast.Attribute):
            return []
        owners = self._owners(node.value)
        members = [(owner, self._code.member(owner, node.attr)) for owner in owners]
        return [
            each._replace(owner=owner)
            for owner, member in members
            if member is not None
            for each in _returned(member)
        ]

    def _named_by(self, annotated: _Annotated, deepest: int) -> Iterator[Definition]:
        """The classes that an annotation names, alone or in a union."""
        node, module, owner = annotated
        if not deepest:
            return
        match node:
            case ast.Name(id="Self") if owner is not None:
                yield owner
            case ast.Name() | ast.Attribute():
                found = self._code.dotted(module, node)
                if isinstance(found, Definition):
                    if found.is_class:
                        yield found
                    elif isinstance(found.node, ast.Assign | ast.AnnAssign) and found.node.value:
                        alias = _Annotated(found.node.value, found.module, None)
                        yield from self._named_by(alias, deepest - 1)
            case ast.BinOp(left=left, right=right):
                for each in (left, right):
                    yield from self._named_by(annotated._replace(node=each), deepest)
            case ast.Subscript(value=ast.Name(id="Annotated" | "Optional" | "Union"), slice=inner):
                parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
                for each in parts:
                    yield from self._named_by(annotated._replace(node=each), deepest)
            case ast.Subscript(value=value):
                yield from self._named_by(annotated._replace(node=value), deepest - 1)
            case ast.Constant(value=str(text)):
                yield from self._named_by(annotated._replace(node=_parsed(text)), deepest - 1)
            case _:
                pass


def _returned(definition: Definition) -> list[_Annotated]:
    """The annotation of a field, or of what a function gives."""
    match definition.node:
        case ast.FunctionDef(returns=found) | ast.AsyncFunctionDef(returns=found):
            pass
        case ast.AnnAssign(annotation=found):
            pass
        case _:
            return []
    return [] if found is None else [_Annotated(found, definition.module, definition.owner)]


def _elements(annotations: Iterable[_Annotated]) -> list[_Annotated]:
    """Of what a container holds: the parts between the brackets of its annotation."""
    return [
        each._replace(node=part)
        for each in annotations
        if isinstance(each.node, ast.Subscript)
        for part in (
            each.node.slice.elts if isinstance(each.node.slice, ast.Tuple) else [each.node.slice]
        )
    ]


def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Constant(None)


def _is_bare(node: Function | ast.ClassDef | Assigned) -> bool:
    """Whether it says nothing: a class, a field without a default."""
    return isinstance(node, ast.ClassDef) or (
        isinstance(node, ast.AnnAssign) and node.value is None
    )


def _says_nothing(node: object) -> bool:
    """Whether a statement is a text, as a docstring is."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _bound_within(node: Function) -> Iterator[str]:
    """Names that a function binds: parameters, variables, functions in it."""
    for each in ast.walk(node):
        match each:
            case ast.arg(arg=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if each is not node:
                yield name
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name
            case ast.MatchMapping(rest=str(name)):
                yield name
            case ast.ExceptHandler(name=str(name)):
                yield name
            case _:
                pass
