"""What a start leaves for later: counted by what is imported, never timed."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DEADLINE: Final = 60.0
"""Seconds; a busy machine is slow, and that is no defect."""

LATER: Final = ("graphviz", "openai", "prompt_toolkit", "safetensors", "tokenizers")
"""What draws, chats, asks an endpoint, or loads the embedder's weights: none of it serves a first
request of the default server."""

_START: Final = """
import asyncio, sys
from server.services import open_services
from server.settings import load_settings
from server.environment import system_environment

async def main():
    settings = load_settings({"data": sys.argv[1], "llm": "offline"})
    async with open_services(settings, system_environment()):
        import server.http.site
        from machines.charts import all_machines
        print(eval(sys.argv[2]))

asyncio.run(main())
"""


def once_ready(question: str, folder: Path) -> str:
    """What an expression gives in a server that has started, and was asked nothing yet."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CHORUS_")}
    done = subprocess.run(
        [sys.executable, "-c", _START, str(folder / "data"), question],
        cwd=ROOT,
        env=kept,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_server_is_ready_before_it_loads_what_only_some_requests_need(tmp_path: Path) -> None:
    loaded = once_ready(f"[name for name in {LATER!r} if name in sys.modules]", tmp_path)
    assert loaded == "[]", f"a start imports {loaded}: import it where it is used first"


def test_a_server_is_ready_once_every_chart_is_compiled(tmp_path: Path) -> None:
    lacking = once_ready("[m.name for m in all_machines() if 'table' not in vars(m)]", tmp_path)
    assert lacking == "[]", f"the first request compiles {lacking}, and holds all others up"
