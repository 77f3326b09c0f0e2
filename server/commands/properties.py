"""`chorus verify --properties`: the temporal rules, judged on what the journal recorded.

The journal is read once, stream by stream, in a transaction that sees one moment and takes no lock: a
server may be running. What a rule still waits for at the end is no violation.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final

from machines.properties import Broken, Monitor, Step, all_rules, unrecorded
from server.commands.errors import DONE, NOT_DONE
from server.commands.journal_file import require_journal
from server.settings import Settings
from server.stores import reading
from storage.journal.history import Transition, tell_history
from storage.journal.queries import require_migrated

_SHOWN: Final = 20
"""Violations that are told one by one; of the others their number is."""

Say = Callable[[str], None]


async def run(settings: Settings, *, say: Say) -> int:
    """Say which steps break a rule; gives the exit code, 0 where none does.

    Raises:
        CommandFailed: there is no journal.
        JournalError: it cannot be read, or was written by another version.
    """
    require_journal(settings)
    judge = _Judge(say)
    async with reading(settings) as reader:
        await reader.read(require_migrated)
        entries = await reader.read(lambda connection: tell_history(connection, judge.see))
    return judge.sum_up(entries)


class _Judge:
    """Follows the rules, and says what it finds."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._rules = [rule for rule in all_rules() if not unrecorded(rule)]
        self._monitor = Monitor(self._rules)
        self._broken: Counter[str] = Counter()
        self._steps = 0

    def see(self, each: Transition) -> None:
        self._steps += 1
        step = Step(*each[2:11])
        for broken in self._monitor.see(step, each.stream):
            if self._broken.total() < _SHOWN:
                self._say(_sentence(broken, each))
            self._broken[broken.rule.name] += 1

    def sum_up(self, entries: int) -> int:
        self._monitor.end_stream()
        if (rest := self._broken.total() - _SHOWN) > 0:
            self._say(f"and {rest} more")
        for rule in all_rules():
            name, why = rule.name, unrecorded(rule)
            if why:
                self._say(f"left out: {name}: {why}")
            elif blind := self._monitor.blind[name]:
                judged = self._monitor.judged[name]
                self._say(f"not told: {name}: {blind} of {blind + judged} steps lack what it reads")
            if waiting := self._monitor.waiting[name]:
                self._say(f"waiting at the end: {name}: {waiting}")
        for name, count in self._broken.items():
            self._say(f"broken: {name}: {count} times")
        verdict = (
            f"{len(self._broken)} of them are broken." if self._broken else "All of them are kept."
        )
        self._say(
            f"{len(self._rules)} rules on {self._steps} steps in {entries} entries. {verdict}"
        )
        return NOT_DONE if self._broken else DONE


def _sentence(broken: Broken, at: Transition) -> str:
    step, rule = broken.step, broken.rule
    return (
        f"{rule.name}: the {step.machine} {step.instance} breaks it by {step.event} "
        f"({step.source} -> {step.target}), entry {at.seq} of {at.stream}. {rule.reason}"
    )
