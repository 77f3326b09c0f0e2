"""What a chart declares as a value of its own: written as JSON, and read back without any code.

A `Declaration` has a chart's states, edges, guards and actions by their names, with what their
docstrings say. So a chart can be drawn, compared and checked against long after the code that it
was declared in has changed; what its guards and actions compute is not kept.

    text = declaration_of(topology(chart)).to_json()
    shape = read_declaration(text).topology()

`fingerprint` is that of the journal's entries: it changes with the states, edges, guards and actions,
and not with a docstring.
"""

from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import from_json

from machines.statechart import Edge, EdgeKind, Guard, Node, NodeKind, Topology
from machines.statechart.chart import ActionRule
from machines.statechart.topology import NOT, sentence_of

FORMAT: Final = 1
"""Of the JSON; another number is another shape."""


class UnreadableDeclaration(ValueError):
    """A text is no declaration; the message is one sentence that says why."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DeclaredState(_Part):
    """A state."""

    name: str
    parent: str | None
    """Name of the state around it; None where there is none."""
    kind: NodeKind
    initial: bool
    final: bool


class DeclaredEdge(_Part):
    """A transition."""

    id: str
    """As the drawing, the journal and the wire name it."""
    event: str
    source: str
    target: str
    kind: EdgeKind
    guards: tuple[str, ...]
    """Names of what must hold; with `not ` before it, of what must not."""
    actions: tuple[str, ...]
    """Names in the order in which they are performed."""


class Declaration(_Part):
    """A whole chart."""

    format: Literal[1] = FORMAT
    machine: str
    fingerprint: str
    title: str
    """The first line of the chart's docstring."""
    states: tuple[DeclaredState, ...]
    """Outer states before the states within them, in the order of declaration."""
    edges: tuple[DeclaredEdge, ...]
    """In the order of declaration: of those that one state has for one event, the first whose guards
    hold is taken."""
    guards: dict[str, str]
    """By name, sorted: when each holds; empty where its docstring is missing."""
    actions: dict[str, str]
    """By name, sorted: what each does."""

    @model_validator(mode="after")
    def _names_lead_somewhere(self) -> Self:
        for problem in _problems(self):
            raise ValueError(problem)
        return self

    def to_json(self) -> str:
        """The text of a `.json` file: the same bytes for the same chart."""
        return f"{self.model_dump_json(indent=2)}\n"

    def topology(self) -> Topology:
        """The chart as everything that is derived from one takes it. Its guards and actions can be
        named; to ask or perform one raises TypeError.
        """
        return Topology(
            machine=self.machine,
            title=self.title,
            nodes=tuple(
                Node(
                    id=f"state_{self.machine}_{state.name}",
                    name=state.name,
                    parent=state.parent,
                    kind=state.kind,
                    initial=state.initial,
                    final=state.final,
                )
                for state in self.states
            ),
            edges=tuple(
                Edge(
                    id=edge.id,
                    machine=self.machine,
                    event=edge.event,
                    source=edge.source,
                    target=edge.target,
                    guards=tuple(map(self._guard, edge.guards)),
                    actions=edge.actions,
                    kind=edge.kind,
                    rules=tuple(_without_code(each, self.actions[each]) for each in edge.actions),
                )
                for edge in self.edges
            ),
        )

    def _guard(self, label: str) -> Guard:
        name = label.removeprefix(NOT)
        return Guard(name, name == label, _without_code(name, self.guards[name]))


def declaration_of(chart: Topology) -> Declaration:
    """What a chart declares."""
    guards = {guard.name: guard.sentence for edge in chart.edges for guard in edge.guards}
    actions = {
        name: sentence_of(rule)
        for edge in chart.edges
        for name, rule in zip(edge.actions, edge.rules, strict=True)
    }
    return Declaration(
        machine=chart.machine,
        fingerprint=chart.fingerprint,
        title=chart.title,
        states=tuple(
            DeclaredState(
                name=node.name,
                parent=node.parent,
                kind=node.kind,
                initial=node.initial,
                final=node.final,
            )
            for node in chart.nodes
        ),
        edges=tuple(
            DeclaredEdge(
                id=edge.id,
                event=edge.event,
                source=edge.source,
                target=edge.target,
                kind=edge.kind,
                guards=tuple(guard.label for guard in edge.guards),
                actions=edge.actions,
            )
            for edge in chart.edges
        ),
        guards=dict(sorted(guards.items())),
        actions=dict(sorted(actions.items())),
    )


def read_declaration(text: str | bytes) -> Declaration:
    """The declaration that `to_json` wrote.

    Raises:
        UnreadableDeclaration: it is none, or its parts do not fit together.
    """
    try:
        found = from_json(text)
    # TypeError: a text with bytes that are no UTF-8, as `surrogateescape` has them.
    except (TypeError, ValueError) as error:
        raise UnreadableDeclaration("it is no JSON") from error
    number = found.get("format") if isinstance(found, dict) else None
    if number != FORMAT:
        known = "it names no format" if number is None else "it has a format that is not known here"
        raise UnreadableDeclaration(known)
    try:
        return Declaration.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        raise UnreadableDeclaration(f"{place}: {said}" if place else said) from error


def earlier_declarations() -> Mapping[str, Declaration]:
    """By fingerprint: what the charts of 0.1.0 to 0.3.0 declared, whose journals do not keep it."""
    files = sorted(
        resources.files("machines").joinpath("earlier").iterdir(), key=lambda each: each.name
    )
    read = (read_declaration(file.read_bytes()) for file in files)
    return {each.fingerprint: each for each in read}


def _problems(declared: Declaration) -> Iterator[str]:
    """What is wrong with the references among the parts."""
    states: set[str] = set()
    for state in declared.states:
        if state.parent is not None and state.parent not in states:
            yield f"the state {state.name} is within {state.parent}, which is not above it"
        if state.name in states:
            yield f"there are two states {state.name}"
        states.add(state.name)
    for name in (None, *states):
        yield from _of_nesting(declared, name)
    yield from _repeated(edge.id for edge in declared.edges)
    for edge in declared.edges:
        for name in (edge.source, edge.target):
            if name not in states:
                yield f"{edge.id} has the state {name}, which is not there"
        for label in edge.guards:
            if label.removeprefix(NOT) not in declared.guards:
                yield f"{edge.id} has the guard {label}, which is not explained"
        for name in edge.actions:
            if name not in declared.actions:
                yield f"{edge.id} has the action {name}, which is not explained"


def _of_nesting(declared: Declaration, name: str | None) -> Iterator[str]:
    """What is wrong with what is within a state, or within the machine for None."""
    inner = [state for state in declared.states if state.parent == name]
    kind = next((each.kind for each in declared.states if each.name == name), NodeKind.COMPOUND)
    where = "the machine" if name is None else f"the state {name}"
    if kind is NodeKind.ATOMIC:
        if inner:
            yield f"{where} is atomic, and has states within it"
    elif not inner:
        yield f"{where} has no states within it"
    elif kind is NodeKind.COMPOUND and sum(state.initial for state in inner) != 1:
        yield f"{where} has not one initial state directly within it"


def _repeated(ids: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for each in ids:
        if each in seen:
            yield f"there are two edges {each}"
        seen.add(each)


def _without_code(name: str, sentence: str) -> ActionRule:
    """Stands for a guard or an action of which the name and the docstring are known."""

    def rule(_: object, __: object) -> bool:
        raise TypeError(f"{name} was read from a declaration, which holds no code.")

    rule.__name__ = name
    rule.__doc__ = sentence
    return rule
