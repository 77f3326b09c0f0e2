"""The hooks before a commit are the static part of `make test`."""

import re
from typing import Final

from tests.docs.markdown import ROOT

_HOOK: Final = re.compile(r"^ +entry: (.+)$", re.MULTILINE)
_GOALS: Final = re.compile(r"^check-[a-z]+:\n((?:\t.+\n)+)", re.MULTILINE)


def test_the_hooks_run_what_make_check_runs() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    lines = "".join(_GOALS.findall(makefile)).splitlines()
    assert lines, "the Makefile has no goals `check-...`"
    checks = [line.strip().replace("$(BIN)", ".venv/bin") for line in lines]
    hooks = _HOOK.findall((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert sorted(hooks) == sorted(checks), "write each line of `make check` as a hook"
