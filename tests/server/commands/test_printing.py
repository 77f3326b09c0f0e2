"""What commands print: cleaned, one line for one line, and by one module alone."""

import ast
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Final

import pytest
from rich.console import Console

from machines.decisions.explanation import Explanation
from machines.models.wire.explained import (
    EffectView,
    ExplainedTransition,
    GuardView,
    TriedEdgeView,
)
from machines.models.wire.views import TransitionView
from server.commands.errors import refuse
from server.commands.printing import complain, say
from server.commands.trace import show

HOSTILE: Final = "a\x1b]0;mine\x07b\u202ec\x9b2Jd\U000e0041e"
HARMLESS: Final = "a]0;minebc2Jde"

SERVER: Final = Path(__file__).parents[3] / "server"
PRINTS: Final = {
    "commands/printing.py",
    "cli.py",  # the help, which is ours
    "http/page_types.py",  # a tool of development
}
"""Modules that may write to a standard stream. `server.chat` has a cleaner at each of its places."""


def test_a_line_is_cleaned_and_stays_one(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"  memory    {HOSTILE}\nforged: {HOSTILE}")
    complain(HOSTILE)
    assert refuse(f"{HOSTILE}\nand more", 2) == 2
    printed = capsys.readouterr()
    assert printed.out == f"  memory    {HARMLESS} forged: {HARMLESS}\n"
    assert printed.err == f"{HARMLESS}\nchorus: {HARMLESS}\nchorus: and more\n"


def test_a_trace_shows_nothing_that_a_terminal_obeys() -> None:
    guard = GuardView(name=HOSTILE, expected=True, value=True)
    edge = TriedEdgeView(edge=HOSTILE, target=HOSTILE, verdict="taken", guards=(guard,))
    traced = ExplainedTransition(
        seq=1,
        at=datetime(2026, 3, 1, tzinfo=UTC),
        after_ms=0,
        transition=TransitionView(
            machine="chorus",
            instance=HOSTILE,
            event=HOSTILE,
            source=HOSTILE,
            target=HOSTILE,
            edge=HOSTILE,
            effects=(HOSTILE,),
        ),
        facts={HOSTILE: HOSTILE},
        is_declared=False,
        judged="unknown",
        edges=(edge,),
        effects=(EffectView(effect=HOSTILE, brought=HOSTILE, seq=2, after_ms=1),),
    )
    out = StringIO()
    show(
        Explanation(None, (traced,), {HOSTILE: HOSTILE}),
        Console(file=out, width=400, color_system=None),
    )
    assert HARMLESS in out.getvalue()
    assert all(each == "\n" or each.isprintable() for each in out.getvalue())


def test_no_other_module_of_the_server_prints() -> None:
    found = {
        module
        for path in SERVER.rglob("*.py")
        if not (module := path.relative_to(SERVER).as_posix()).startswith("chat/")
        and module not in PRINTS
        and any(_prints(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert not found, f"print by server.commands.printing in {sorted(found)}"


def _prints(tree: ast.AST) -> Iterator[bool]:
    """For each call, whether it writes to a standard stream."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="print")):
                yield True
            case ast.Call(func=ast.Attribute(value=ast.Name(id="typer"), attr="echo")):
                yield True
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Attribute(value=ast.Name(id="sys"), attr="stdout" | "stderr"),
                    attr="write",
                )
            ):
                yield True
            case _:
                yield False
