"""The table of `docs/properties.md`. `python -m tests.docs.rules_table` writes it anew."""

from machines.properties import Rule, all_rules, unrecorded
from tests.docs.markdown import ROOT

PAGE = ROOT / "docs" / "properties.md"
HEAD = "| rule | what it says | about | why | promised in |\n|---|---|---|---|---|\n"


def table() -> str:
    """A row for each rule, in their order."""
    return HEAD + "".join(map(_row, all_rules()))


def _row(rule: Rule) -> str:
    about = f"{rule.about.name}{'' if unrecorded(rule) else ', journal'}"
    name = rule.source.removeprefix("docs/")
    source = (
        f"[{name}]({name if rule.source.startswith('docs/') else f'../{name}'})" if name else ""
    )
    return f"| `{rule.name}` | {rule.formula.text} | {about} | {rule.reason} | {source} |\n"


if __name__ == "__main__":
    prose, _, _ = PAGE.read_text(encoding="utf-8").partition(HEAD)
    PAGE.write_text(prose + table(), encoding="utf-8")
