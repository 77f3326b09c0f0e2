"""What `chorus verify` asks of the journal's history: whether each value went as its chart declares.

A value of any age is held against the declarations that wrote it, which the journal keeps (those of
versions that kept none are in `machines.declarations`). A run that today's chart wrote is executed
again, from its first event to its last.
"""

from collections.abc import Callable, Iterator

from machines.charts import journaled_machines
from machines.chorus import chorus_machine
from machines.conformance import Conformance, Violation
from machines.decisions.replay import replay_run, written_by_this_chart
from machines.loop.runs import states_of
from machines.models.chorus import ChorusState
from machines.models.errors import ChorusError
from machines.models.ids import RunId
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
    standing = dict(check.standing(chorus_machine().name))
    for run_id in runs:
        entries = await journal.run_entries(run_id)
        try:
            kept = await journal.run(run_id)
            if written_by_this_chart(entries):
                executed += 1
                replayed = replay_run(run_id, entries)
                if replayed != kept:
                    problems.append(f"run {run_id}: its snapshot is not what its entries give")
            elif kept is not None and _stands_elsewhere(kept, standing.get(run_id)):
                problems.append(f"run {run_id}: its snapshot stands where its entries do not lead")
        except ChorusError as error:
            problems.append(f"run {run_id}: {error.message}")
    for problem in problems:
        say(problem)
    for line in _counts(check, executed):
        say(line)
    return len(problems)


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
