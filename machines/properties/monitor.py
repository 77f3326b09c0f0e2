"""Judges steps as they come: what a journal recorded, once, in its order.

The verdicts are those of LTL with three values (Bauer, Leucker and Schallhart, "Runtime Verification
for LTL and TLTL", ACM TOSEM 20(4), 2011): a step breaks a rule where nothing that follows could mend it;
what a rule still waits for at the end of the steps is no violation.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from machines.properties.form import Rule
from machines.properties.steps import Step


@dataclass(frozen=True, slots=True)
class Broken:
    """A step that broke a rule."""

    rule: Rule
    step: Step


class Monitor:
    """Follows the steps of one stream after the other.

    Keeps for each rule the slices in which it waits or holds on; what a rule says of a value is
    forgotten when the value has ended.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._by_machine: dict[str, list[Rule]] = defaultdict(list)
        for rule in rules:
            for machine in rule.about.keys:
                self._by_machine[machine].append(rule)
        self._armed: dict[str, set[str]] = defaultdict(set)
        self._stream = ""
        self.judged: Counter[str] = Counter()
        """How many steps each rule judged."""
        self.blind: Counter[str] = Counter()
        """How many steps lacked a field that the rule reads."""
        self.waiting: Counter[str] = Counter()
        """How many slices of the streams that have ended still wait, by liveness rule."""

    @property
    def held(self) -> int:
        """How many slices are kept."""
        return sum(map(len, self._armed.values()))

    def see(self, step: Step, stream: str = "") -> Iterator[Broken]:
        """The rules that a step breaks. The steps of one stream come together, in their order."""
        if stream != self._stream:
            self.end_stream()
            self._stream = stream
        for rule in self._by_machine.get(step.machine, ()):
            name = rule.name
            try:
                key = rule.about.keys[step.machine](step)
                if key is None:
                    continue
                armed = self._armed[name]
                was = key in armed
                holds, is_broken = rule.follow(was, step)
            except KeyError:
                self.blind[name] += 1
                continue
            self.judged[name] += 1
            if holds and not was:
                armed.add(key)
            elif was and not holds:
                armed.discard(key)
            if is_broken:
                yield Broken(rule, step)

    def end_stream(self) -> None:
        """The stream is over: no step of it follows. Call it behind the last one."""
        live = {
            rule.name
            for rules in self._by_machine.values()
            for rule in rules
            if rule.formula.is_live
        }
        for name, armed in self._armed.items():
            if name in live and armed:
                self.waiting[name] += len(armed)
            armed.clear()
