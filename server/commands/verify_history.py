"""What `chorus verify` asks of the journal's history: whether each value went as its chart declares.

A value of any age is held against the declarations that wrote it, which the journal keeps (those of
versions that kept none are in `machines.declarations`). A run that today's chart wrote is executed
again, from its first event to its last. Where the chart is the same and the code of its guards or actions
another, that ends otherwise and is no damage: each entry is kept with its digest, and the snapshot is held
against what the entries recorded.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from machines.charts import journaled_machines
from machines.chorus import chorus_machine
from machines.conformance import Conformance, Violation
from machines.decisions.recomputation import SAME_CHART
from machines.decisions.replay import (
    Held,
    replay,
    replay_run,
    stands_as_recorded,
    written_by_this_chart,
)
from machines.declarations import Declaration
from machines.loop.runs import states_of
from machines.models.chorus import ChorusState
from machines.models.errors import ChorusError
from machines.models.ids import RunId
from machines.models.journal import JournalEntry
from machines.statechart import Configuration
from server.commands.kept import declarations
from server.settings import Settings
from server.stores import reading
from storage.journal.history import Transition, kept_declarations, tell_history
from storage.journal.port import Journal

Say = Callable[[str], None]


async def verify_history(settings: Settings, journal: Journal, say: Say) -> int:
    """Say each problem, and how many values were checked in which way; gives the number of problems.

    Raises:
        JournalError: the journal cannot be read.
    """
    async with reading(settings) as reader:
        declared, unreadable = declarations(await reader.read(kept_declarations))
        check = Conformance(declared)
        runs: list[RunId] = []

        def born(machine: str, instance: str) -> None:
            check.born(machine, instance)
            if machine == chorus_machine().name:
                runs.append(RunId(instance))

        def moved(taken: Transition) -> None:
            check.moved(taken, taken.fingerprints, taken.stands)

        await reader.read(lambda connection: tell_history(connection, moved, born))
    problems = [*unreadable, *(_sentence(each) for each in check.violations)]
    executed = 0
    otherwise: dict[str, list[str]] = {}
    standing = dict(check.standing(chorus_machine().name))
    for run_id in runs:
        entries = await journal.run_entries(run_id)
        try:
            kept = await journal.run(run_id)
            if written_by_this_chart(entries):
                executed += 1
                if problem := _executed(run_id, entries, kept, declared, otherwise):
                    problems.append(f"run {run_id}: {problem}")
            elif kept is not None and _stands_elsewhere(kept, standing.get(run_id)):
                problems.append(f"run {run_id}: its snapshot stands where its entries do not lead")
        except ChorusError as error:
            problems.append(f"run {run_id}: {error.message}")
    for problem in problems:
        say(problem)
    for line in _counts(check, executed):
        say(line)
    for why, where in otherwise.items():
        say(f"computed otherwise: {_several(len(where), 'run')}, first {where[0]}: {why}")
    return len(problems)


def _executed(
    run_id: RunId,
    entries: Sequence[JournalEntry],
    kept: ChorusState | None,
    declared: Mapping[str, Declaration],
    otherwise: dict[str, list[str]],
) -> str | None:
    """The problem of a run that is executed again; where code alone is another, `otherwise` is told."""
    problem = "its snapshot is not what its entries give"
    try:
        if replay_run(run_id, entries) == kept:
            return None
    except ChorusError as error:
        problem = error.message
    except Exception as error:  # noqa: BLE001 - code of today may raise anything where other code did not
        problem = f"today's code has a defect ({type(error).__name__})"
    if kept is None or not stands_as_recorded(kept, entries):
        return problem
    differs = next((each for each in replay(run_id, entries, declared) if each.differences), None)
    if differs is None or differs.held is not Held.EXECUTED:
        return problem
    why = "; ".join(map(str, differs.because)) or f"{SAME_CHART}; its code gives something else"
    otherwise.setdefault(why, []).append(f"run {run_id} at seq {differs.move.seq}")
    return None


def _stands_elsewhere(kept: ChorusState, configuration: Configuration | None) -> bool:
    """Whether the snapshot says another place than the entries, where today's chart has that place."""
    if configuration not in chorus_machine().table:
        return False
    return states_of(kept) != configuration


def _sentence(violation: Violation) -> str:
    named = "run" if violation.machine == chorus_machine().name else violation.machine
    return f"{named} {violation.instance}: it {violation.sentence}"


def _counts(check: Conformance, executed: int) -> Iterator[str]:
    runs = check.checked(chorus_machine().name)
    others = sum(check.checked(each.name) for each in journaled_machines()) - runs
    yield (
        f"checked: {_several(runs, 'run')} and {_several(others, 'other value')} against the"
        f" declarations that wrote them; {_several(executed, 'run')} executed again"
    )
    for fingerprint, count in sorted(check.unknown.items()):
        by = fingerprint or "a chart without a fingerprint"
        yield f"not checked: {_several(count, 'value')} of {by}, whose declaration is not known"


def _several(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
