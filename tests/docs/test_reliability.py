"""`docs/reliability.md` lists the scenarios of the campaign, and the modules that they are in."""

from tests.docs.markdown import ROOT, document
from tests.faults.campaign import scenarios


def test_every_scenario_is_listed_with_its_module() -> None:
    rows = document("docs/reliability.md").section("Running it").table()
    listed = {row[0].code[0]: row[2].text for row in rows}
    known = {
        name: f"{scenario.__module__.replace('.', '/')}.py"
        for name, scenario in scenarios().items()
    }
    assert listed == known
    assert all((ROOT / module).is_file() for module in listed.values())
