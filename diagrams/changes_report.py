"""What changed in machines, as Markdown for a pull request."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, assert_never

from diagrams import code_words
from diagrams.changes import Change, EdgeChange, MachineChanges, parts_text, rules_of
from diagrams.code_changes import RuleChange
from diagrams.redirections import redirected, renamed
from diagrams.usage import EdgeUse, Usage
from machines.migrations import Continue, End, Migrate, Outcome, Succession
from machines.statechart import Configuration

_WORDS = {Change.ADDED: "added", Change.REMOVED: "removed", Change.CHANGED: "changed"}


class Judged(NamedTuple):
    """One machine of a report."""

    changes: MachineChanges
    picture: str | None
    """Where its drawing is, as the Markdown links it."""
    usage: Usage | None
    """What its values did; None where no journal was asked, or it has none of them."""


def report(
    judged: Iterable[Judged],
    old: str,
    new: str,
    *,
    journal: str | None,
    without_code: str | None = None,
) -> str:
    """The whole summary.

    Args:
        old, new: what was compared, in a reader's words.
        journal: what was asked for the values that live by the machines; None where nothing was.
        without_code: why no code was compared, as a sentence; None where it was.
    """
    every = tuple(judged)
    changed = [each for each in every if each.changes.change is not Change.KEPT]
    lines = [f"# State machines: {old} → {new}", ""]
    if not changed:
        lines += [f"No machine of {len(every)} changed.", ""]
    else:
        of = "machine" if len(every) == 1 else "machines"
        lines += [f"{len(changed)} of {len(every)} {of} changed.", ""]
    if without_code is not None:
        lines += [f"The code of guards and actions was not compared: {without_code}", ""]
    for each in every:
        if each.changes.code is not None and each.changes.lacks_code:
            names = ", ".join(f"`{name}`" for name in each.changes.code.unknown)
            said = f"the code of {names} was not found on both sides, and not compared."
            lines += [f"{each.changes.machine}: {said}", ""]
    for each in changed:
        lines += _section(each, journal)
    return "\n".join(lines)


def _section(judged: Judged, journal: str | None) -> Iterator[str]:
    changes, usage = judged.changes, judged.usage
    yield f"## {changes.machine}"
    yield ""
    yield _sentence(changes)
    yield ""
    if judged.picture is not None:
        yield f"![{changes.declared.title}]({judged.picture})"
        yield ""
    # Of a machine that is new or gone the drawing says everything.
    rows = list(_rows(changes, usage)) if changes.change is Change.CHANGED else []
    if rows:
        counts = usage is not None
        yield f"| | | was | is |{' live took it | finished took it |' if counts else ''}"
        yield f"|---|---|---|---|{'---|---|' if counts else ''}"
        yield from rows
        yield ""
        for was, now in renamed(changes.states, changes.edges).items():
            yield f"`{now}` is `{was}` by another name: the edges to it and from it are the same."
            yield ""
        meanings = changes.meanings
        yield from (f"- `{name}`: {text}" for name, text in meanings.items())
        yield from [""] if meanings else []
    if changes.code is not None:
        for was, now in changes.code.renamed:
            yield f"`{now}` is `{was}` by another name: its code is the same."
            yield ""
        yield from code_words.markdown(
            changes.code.changed, changes.code.added, lambda rule: _places(changes, rule, usage)
        )
    if usage is not None:
        yield from _futures(changes, usage)
    elif journal is not None:
        yield f"{journal} keeps no history of this machine."
        yield ""


def _sentence(changes: MachineChanges) -> str:
    if changes.change is Change.ADDED:
        return "The machine is new."
    if changes.change is Change.REMOVED:
        return "The machine is gone."
    parts = [
        *(("state", each.change) for each in changes.states),
        *(("edge", each.change) for each in changes.edges),
        *(("description", Change.CHANGED) for _ in changes.reworded),
        *((("title", Change.CHANGED),) if changes.titles else ()),
    ]
    counted = Counter(each for each in parts if each[1] is not Change.KEPT)
    said = [
        f"{count} {what}{'' if count == 1 else 's'} {_WORDS[change]}"
        for (what, change), count in counted.items()
    ]
    if changes.code is not None and changes.code.changed:
        names = ", ".join(f"`{each.name}`" for each in changes.code.changed)
        said.append(f"the code of {names} changed")
    return f"{', '.join(said)}."


def _rows(changes: MachineChanges, usage: Usage | None) -> Iterator[str]:
    def row(change: Change, what: str, was: str, now: str, use: EdgeUse | None = None) -> str:
        cells = [_WORDS[change], what, was, now]
        if usage is not None:
            cells += [str(use.live), str(use.finished)] if use else ["", ""]
        return f"| {' | '.join(each.replace('|', chr(92) + '|') for each in cells)} |"

    elsewhere = redirected(changes.edges)
    if changes.titles:
        yield row(Change.CHANGED, "title", *changes.titles)
    for state in changes.states:
        if state.change is not Change.KEPT:
            yield row(state.change, f"state `{state.name}`", *state.says)
    for edge in changes.edges:
        if edge.is_declared_otherwise:
            use = usage.edges.get(edge.old.id) if usage and edge.old else None
            yield row(edge.change, _named(edge), *_both_texts(edge, elsewhere), use)
    changed = {each.name for each in changes.code.changed} if changes.code else set()
    for each in changes.reworded:
        same = changes.code and each.name not in {*changed, *changes.code.unknown}
        said = "means, with the same code" if same else "means"
        yield row(Change.CHANGED, f"{each.what} `{each.name}` {said}", each.old, each.new)


def _named(edge: EdgeChange) -> str:
    return f"`{edge.edge.event}` from `{edge.edge.source}` to `{edge.edge.target}`"


def _both_texts(edge: EdgeChange, elsewhere: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
    """As it was and as it is.

    Args:
        elsewhere: what `redirected` says.
    """
    if edge.change is Change.CHANGED:
        was, now = edge.says
        code = f"; the code of {code_words.named(edge.code)} changed" if edge.code else ""
        return (f"`{was}`", f"`{now}`{code}")
    text = parts_text(edge.edge.guards, edge.edge.actions)
    shown = f"`{text}`" if text else ""
    if edge.new is not None:
        was, _ = elsewhere.get(f"new {edge.new.id}", ("", ""))
        return (was, shown)
    _, now = elsewhere.get(f"old {edge.edge.id}", ("", ""))
    return (shown, now)


def _places(changes: MachineChanges, rule: RuleChange, usage: Usage | None) -> Iterator[str]:
    """The edges on which a guard or an action stands, and who took each."""
    if rule.what == "every transition":
        yield "every edge: it writes where a value stands"
    for edge in changes.edges:
        if edge.new is not None and (rule.what, rule.name) in rules_of(edge.new):
            use = usage.edges.get(edge.old.id) if usage and edge.old else None
            took = f": {use.live} live and {use.finished} finished took it" if use else ""
            yield f"{_named(edge)} `{parts_text(edge.new.guards, edge.new.actions)}`{took}"


def _futures(changes: MachineChanges, usage: Usage) -> Iterator[str]:
    """What becomes of the live values, by where they stand."""
    outcomes = _outcomes(changes, usage)
    if outcomes:
        yield "| live | where | what becomes of them |"
        yield "|---|---|---|"
        for configuration, count in usage.standing.items():
            said = _said(outcomes[configuration])
            yield f"| {count} | `{' '.join(configuration)}` | {said} |"
    else:
        yield "None is live."
    yield ""
    if usage.elsewhere:
        yield (
            f"{usage.elsewhere} more were written by another declaration, and stand in states that"
            " this one lacks."
        )
        yield ""


def interferes(changes: MachineChanges, usage: Usage) -> bool:
    """Whether some live value does not go on as before."""
    return any(each != Continue() for each in _outcomes(changes, usage).values())


def _outcomes(changes: MachineChanges, usage: Usage) -> Mapping[Configuration, Outcome]:
    """What becomes of the live values, by where they stand."""
    if changes.old is None:
        return {}
    succession = Succession(changes.old, changes.new)
    return {each: _met(changes, each, succession.outcome(each)) for each in usage.standing}


def _met(changes: MachineChanges, configuration: Configuration, outcome: Outcome) -> Outcome:
    """With the events whose code is other where a value goes on."""
    if not isinstance(outcome, Continue) or changes.old is None:
        return outcome
    shape = changes.old.topology()
    around = (each for name in configuration for each in shape.ancestors(name))
    active = {*configuration, *around}
    events = dict.fromkeys(
        each.old.event
        for each in changes.edges
        if each.code and each.old and each.old.source in active
    )
    return Continue((*outcome.met, *(f"`{event}` has other code" for event in events)))


def _said(outcome: Outcome) -> str:
    match outcome:
        case Continue(met=()):
            return "continues"
        case Continue(met=met):
            return f"continues, and meets changes: {', '.join(met)}"
        case Migrate(configuration=configuration):
            return f"is migrated to `{' '.join(configuration)}`"
        case End(reason=reason):
            return f"is ended: {reason}"
        case _:
            assert_never(outcome)
