"""A chart with a mistake in it is found by a rule, the search or a scenario.

Here a small sample; `python -m tests.machines.properties.mutants` judges a hundred.
"""

import pytest

from tests.machines.properties.mutants import Mutant, judged, mutants_of, sampled
from tests.machines.transitions.spaces import SPACES

pytestmark = pytest.mark.unmeasured

FEW = [mutant for mutant in sampled(seed=7, how_many=24) if mutant.machine != "chorus"][:12]
"""A run's space takes seconds for each, the others' together one."""


@pytest.mark.parametrize("mutant", FEW, ids=str)
def test_a_mistake_is_found_or_changes_nothing(mutant: Mutant) -> None:
    verdict = judged(mutant)
    assert verdict.by or verdict.is_alike, f"nothing finds that {mutant}: add a rule"


def test_a_dropped_guard_breaks_the_rule_that_it_is_for() -> None:
    (mutant,) = (
        each
        for each in mutants_of(SPACES["message"]().machine)
        if each.mistake == "edge_message_withdraw_pending_withdrawn drops author_asks"
    )
    verdict = judged(mutant)
    assert (verdict.by, verdict.what) == ("rule", "only_its_author_takes_a_message_back")


def test_each_edge_has_mistakes_of_every_kind() -> None:
    machine = SPACES["message"]().machine
    mistakes = [each.mistake for each in mutants_of(machine)]
    assert len(set(mistakes)) == len(mistakes)
    for edge in machine.topology.edges:
        kinds = {each.split()[1] for each in mistakes if each.startswith(f"{edge.id} ")}
        assert kinds == {"is", "leads"} | ({"drops", "negates"} if edge.guards else set())
