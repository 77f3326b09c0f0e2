"""What a database says of its runs and servers, asked past all servers."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from storage.journal.postgres.leases import RELEASED
from tests.support.eventually import eventually
from tests.support.postgres import Cluster


@dataclass(frozen=True)
class RunRows:
    """Of one database."""

    postgres: Cluster
    url: str

    def servers_of_runs(self) -> dict[str, str]:
        """Of each running run: the name of the server that carries it, dead or not; nothing where none does."""
        return dict(self._ask("SELECT id, carrier FROM runs WHERE live AND carrier IS NOT NULL"))

    def living(self) -> set[str]:
        """The names of the servers that have a lease."""
        return {name for (name,) in self._ask("SELECT id FROM servers")}

    def charts_of(self, run_id: str) -> set[str]:
        """The fingerprints of the charts that accepted the events of a run."""
        said = (json.loads(body).get("fingerprint", "") for body in self._bodies(run_id))
        return {each for names in said for each in names.split() if each.startswith("chorus:")}

    def losses_of(self, run_id: str) -> int:
        """How often a run lost its carrier."""
        fired = Counter(
            each["event"]["event"]
            for body in self._bodies(run_id)
            for each in json.loads(body).get("fired", ())
            if each["machine"] == "chorus"
        )
        return fired["carrier_lost"]

    def release(self, run_id: str) -> None:
        """Let nobody carry a run."""
        self._ask("UPDATE runs SET carrier = '' WHERE id = %s", run_id)

    def tell_to_look(self) -> None:
        """Let every server that waits for its next look do so at once."""
        self._ask("SELECT pg_notify(%s, '')", RELEASED)

    async def looked(self) -> None:
        """Wait until a server has looked for runs that nobody carries, from its beginning to its end."""
        for _ in range(2):
            before = self._renewals()
            self.tell_to_look()

            def renewed(before: dict[str, int] = before) -> bool:
                # What follows a renewal is a look; the second renewal follows the look.
                return any(until > before.get(name, 0) for name, until in self._renewals().items())

            await eventually(renewed, "a server looks for runs")

    def _renewals(self) -> dict[str, int]:
        return dict(self._ask("SELECT id, until FROM servers"))

    def _bodies(self, run_id: str) -> list[str]:
        found = self._ask("SELECT body FROM entries WHERE run_id = %s ORDER BY position", run_id)
        return [body for (body,) in found]

    def _ask(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return self.postgres.run(sql, *values, database=self.url.rpartition("/")[2])
