"""Chorus: `Machine.fire`, from a frozen value to the next, with all that comes of it.

Beside the guards, the actions and the stamp, which every contestant has, it names the edges that
were taken and their effects, or the guards that were false: what the journal and the refusals need.
"""

from collections.abc import Callable
from typing import Any

from benchmarks.scenarios import Living, Scenario, compete
from machines.statechart import Accepted, Machine


class _Fired:
    """A frozen value, and the machine of all such values."""

    def __init__(self, machine: Machine[Any, Any, Any, Any], value: Any) -> None:
        self._fire = machine.fire
        self.value = value

    def take(self, event: Any) -> bool:
        outcome = self._fire(self.value, event)
        if isinstance(outcome, Accepted):
            self.value = outcome.state
            return True
        return False


def build(scenario: Scenario) -> Callable[[], Living]:
    return lambda: _Fired(scenario.machine, scenario.values[0])


if __name__ == "__main__":
    compete(build)
