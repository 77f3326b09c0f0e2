"""What was removed and added, and is otherwise the same: an edge that leads elsewhere, a state under another
name. A journal knows both by their names alone, so they are two changes; a reader judges them as one.
"""

from collections.abc import Iterable, Mapping

from diagrams.changes import Change, EdgeChange, StateChange
from machines.declarations import DeclaredEdge


def redirected(edges: Iterable[EdgeChange]) -> Mapping[str, tuple[str, str]]:
    """By the ids of edges, removed (`old ID`) and added (`new ID`): where the edge leads now, or led; a
    clause each, as it was and as it is.
    """
    every = tuple(edges)
    removed = [each.old for each in every if each.old and each.change is Change.REMOVED]
    said: dict[str, tuple[str, str]] = {}
    for change in every:
        new = change.new
        if new is None or change.change is not Change.ADDED:
            continue
        old = next((each for each in removed if _is_moved(each, new)), None)
        if old is not None:
            removed.remove(old)
            end = "from" if old.target == new.target else "to"
            was, now = (old.source, new.source) if end == "from" else (old.target, new.target)
            said[f"old {old.id}"] = ("", f"leads {end} `{now}`")
            said[f"new {new.id}"] = (f"led {end} `{was}`", "")
    return said


def _is_moved(old: DeclaredEdge, new: DeclaredEdge) -> bool:
    same = (old.event, old.guards, old.actions, old.kind) == (
        new.event,
        new.guards,
        new.actions,
        new.kind,
    )
    return same and (old.source == new.source or old.target == new.target)


def renamed(states: Iterable[StateChange], edges: Iterable[EdgeChange]) -> Mapping[str, str]:
    """By the names of states that are gone: the name of the one that stands where it stood, with the same
    edges to it and from it.
    """
    every, lines = tuple(states), tuple(edges)
    removed = [each.old for each in every if each.old and each.change is Change.REMOVED]
    added = [each.new for each in every if each.new and each.change is Change.ADDED]
    was = {each.name: _around(each.name, (one.old for one in lines)) for each in removed}
    now = {each.name: _around(each.name, (one.new for one in lines)) for each in added}
    found: dict[str, str] = {}
    for old in removed:
        for new in added:
            place = (old.parent, old.kind, old.initial, old.final)
            same = place == (new.parent, new.kind, new.initial, new.final)
            if same and was[old.name] and was[old.name] == now[new.name]:
                found[old.name] = new.name
    return found if len(set(found.values())) == len(found) else {}


def _around(name: str, edges: Iterable[DeclaredEdge | None]) -> list[tuple[object, ...]]:
    """The edges to a state and from it, without its name, in the order in which they are tried."""
    return [
        (
            each.event,
            None if each.source == name else each.source,
            None if each.target == name else each.target,
            each.guards,
            each.actions,
            each.kind,
        )
        for each in edges
        if each is not None and name in (each.source, each.target)
    ]
