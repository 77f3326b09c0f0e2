"""CONTRIBUTING declares a migration: it is run as it stands there."""

import re
from textwrap import dedent
from typing import Any

from machines.declarations import read_declaration
from machines.migrations import Migrate, Migration, Succession, problems_of
from tests.docs.markdown import ROOT
from tests.machines.changed_charts import DECLARED, edited, renamed_state


def test_the_migration_that_contributing_shows_leads_every_state_on() -> None:
    whole = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    _, _, text = whole.partition("## Change a machine under living runs\n")
    (code,) = re.findall(r"```python\n(.*?) *```", text.partition("\n## ")[0], re.DOTALL)
    names: dict[str, Any] = {"Migration": Migration}
    exec(dedent(code), names)  # noqa: S102 - our own text
    (migration,) = names["MIGRATIONS"]
    earlier = read_declaration(
        edited("chorus", renamed_state("observation", "reflection"))
        .model_copy(update={"fingerprint": migration.fingerprint})
        .to_json()
    )
    problems = problems_of([migration], {earlier.fingerprint: earlier}, DECLARED)
    assert list(problems) == []
    succession = Succession(earlier, DECLARED["chorus"], [migration])
    assert succession.outcome(("reflection", "stable")) == Migrate(
        ("observation", "stable"), migration
    )
