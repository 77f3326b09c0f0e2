"""The catalogue of scenarios of each machine, by its name."""

from collections.abc import Callable, Mapping
from typing import Final

from machines.statechart.scenarios import Catalogue
from tests.machines.transitions import (
    branch_scenarios,
    breaker_scenarios,
    chorus_scenarios,
    connection_scenarios,
    invitation_scenarios,
    lease_scenarios,
    link_scenarios,
    message_scenarios,
    removal_scenarios,
    thread_scenarios,
)

CATALOGUES: Final[Mapping[str, Callable[[], Catalogue]]] = {
    "chorus": chorus_scenarios.catalogue,
    "message": message_scenarios.catalogue,
    "connection": connection_scenarios.catalogue,
    "thread": thread_scenarios.catalogue,
    "invitation": invitation_scenarios.catalogue,
    "invite_link": link_scenarios.catalogue,
    "removal": removal_scenarios.catalogue,
    "branch": branch_scenarios.catalogue,
    "breaker": breaker_scenarios.catalogue,
    "lease": lease_scenarios.catalogue,
}
