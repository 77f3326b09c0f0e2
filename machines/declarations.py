"""What a chart may declare: the part of python-statemachine that `machines.table` compiles.

The engine can do much more: enter and exit callbacks, history, delays, transitions without an event,
callbacks that are found by their name. Each is refused here with a sentence, since a table that
passed over one would quietly be another machine than the one that was declared. Read from the class
metadata; nothing here runs a machine.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from inspect import getattr_static, iscoroutinefunction, isfunction, signature

from statemachine import State
from statemachine.callbacks import CallbackSpec
from statemachine.transition import Transition

from machines.chart import Chart, Slot
from machines.topology import states_of, transitions_of

_STRICT = {
    "allow_event_without_transition": False,
    "catch_errors_as_events": False,
    "atomic_configuration_update": True,
}
_PREFIXES_OF_THE_ENGINE = frozenset({"done", "error"})
"""An event of that name would also take the engine's own `done.state.x` and `error.execution`."""


class UnsupportedDeclaration(TypeError):
    """A chart declares what no table is compiled of; the text says what, and what to do instead."""


def check(chart: type[Chart]) -> None:
    """Pass a chart that a table says everything of.

    Raises:
        UnsupportedDeclaration: with a sentence for each thing that is not understood.
    """
    problems = [
        *_of_the_class(chart),
        *(problem for state in states_of(chart) for problem in _of_a_state(chart, state)),
        *(problem for each in transitions_of(chart) for problem in _of_an_edge(chart, each)),
    ]
    if problems:
        raise UnsupportedDeclaration(f"{chart.__name__} is not compiled: {'; '.join(problems)}.")


def _of_the_class(chart: type[Chart]) -> Iterator[str]:
    for name, value in _STRICT.items():
        if getattr(chart, name) is not value:
            yield f"{name} is not {value}, so that its engine would not be strict"
    if getattr(chart, "listeners", None):
        yield "it has listeners, which the table does not call"
    yield from _called_by_name(chart, chart.prepare)
    roots = tuple(chart.states)
    if len(roots) != 1 or not roots[0].is_compound:
        yield "it has not one compound state around all others, so that the engine would end"
    names = Counter(state.id for state in states_of(chart))
    for name in (name for name, count in names.items() if count > 1):
        yield f"several states are called {name}, which the engine takes for one"


def _of_a_state(chart: type[Chart], state: State) -> Iterator[str]:
    for specs, called in ((state.enter, "an enter"), (state.exit, "an exit")):
        if _written(specs):
            yield f"{state.id} has {called} callback; put it on the edges"
        yield from _called_by_name(chart, specs)
    if _written(state.invoke):
        yield f"{state.id} invokes, which starts threads; emit an effect"
    yield from _called_by_name(chart, state.invoke)
    if state.history:
        yield f"{state.id} has history, which lives on the instance; keep it in the value"
    if state.value != state.id:
        yield f"{state.id} has a value of its own; a configuration holds names"
    if state.is_compound:
        initial = [child for child in state.states if child.initial]
        entering = [each for each in state.transitions if each.initial]
        if len(initial) != 1 or [each.targets for each in entering] != [initial]:
            yield f"{state.id} has not one initial state directly within it"
        if any(_written(each.on) for each in entering):
            yield f"{state.id} has callbacks for its initial state; put them on the edges"


def _of_an_edge(chart: type[Chart], edge: Transition) -> Iterator[str]:
    if len(edge.targets) != 1:
        yield f"{edge} has {len(edge.targets)} targets; an edge has one"
    if edge.internal:
        yield f"{edge} is internal; without enter and exit callbacks an ordinary one does the same"
    if edge.is_eventless:
        yield f"{edge} takes place without an event; emit an effect that brings one"
    for event in edge.events:
        if not event.id.isidentifier() or event.id in _PREFIXES_OF_THE_ENGINE:
            yield f"the event {event.id} would match others too; give it another name"
        if event.delay:
            yield f"{event.id} is delayed, which blocks the caller; emit a ScheduleTimer"
    for specs, called in (
        (edge.validators, "a validator; use a guard"),
        (edge.before, "a `before` callback, which is not drawn; use `on`"),
        (edge.after, "an `after` callback, which is not drawn; use `on`"),
    ):
        if _written(specs):
            yield f"{edge} has {called}"
        yield from _called_by_name(chart, specs)
    yield from _called_by_name(chart, edge.on)
    for spec in (*_written(edge.cond), *_written(edge.on)):
        yield from _of_a_method(chart, spec)


def _of_a_method(chart: type[Chart], spec: CallbackSpec) -> Iterator[str]:
    name = spec.func
    if not isinstance(name, str) or not name.isidentifier():
        yield f"{spec} is no name of a method; write one method for it"
        return
    method = getattr_static(chart, name, None)
    if not isfunction(method):
        yield f"{name} is no method of it"
    elif list(signature(method).parameters) != ["self"] or iscoroutinefunction(method):
        yield f"{name} is not a plain method of `self` alone; read `self.model`"
    if hasattr(Slot, name):
        yield f"{name} is also found on the slot, where the engine would call it; rename it"


def _called_by_name(chart: type[Chart], specs: Iterable[CallbackSpec]) -> Iterator[str]:
    for spec in specs:
        if spec.is_convention and hasattr(chart, str(spec.func)):
            yield f"{spec.func} would be called because of its name; name it on the edges"


def _written(specs: Iterable[CallbackSpec]) -> list[CallbackSpec]:
    """What the declaration mentions, without what the engine looks for by itself."""
    return [spec for spec in specs if not spec.is_convention]
