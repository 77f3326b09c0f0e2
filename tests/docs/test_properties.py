"""`docs/properties.md` lists the rules that are judged."""

from tests.docs.rules_table import HEAD, PAGE, table


def test_the_page_lists_every_rule_as_it_is() -> None:
    _, found, rows = PAGE.read_text(encoding="utf-8").partition(HEAD)
    assert found + rows == table(), "run `python -m tests.docs.rules_table`"
