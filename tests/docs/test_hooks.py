"""The hooks before a commit are the static part of `make test`."""

import re
from typing import Final

from tests.docs.markdown import ROOT

_HOOK: Final = re.compile(r"^ +entry: (.+)$", re.MULTILINE)
_GOAL: Final = re.compile(r"^check:.*\n((?:\t.+\n)+)", re.MULTILINE)


def test_the_hooks_run_what_make_check_runs() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    goal = _GOAL.search(makefile)
    assert goal is not None, "the Makefile has no goal `check`"
    checks = [line.strip().replace("$(BIN)", ".venv/bin") for line in goal[1].splitlines()]
    hooks = _HOOK.findall((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert hooks == checks, "write each line of `make check` as a hook, in the same order"
