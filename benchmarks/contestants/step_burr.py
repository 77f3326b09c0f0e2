"""Burr with its SQLite persister: one application a run, every action saved when it has ended.

Its synchronous interface, which costs Burr less than the asynchronous one. The file is in WAL mode
as ours is (the persister's default is the slower rollback journal), and SQLite's default
`synchronous=FULL` holds. Tracking is off.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from burr.core import ApplicationBuilder, State, action, expr
from burr.core.persistence import SQLitePersister

from benchmarks import work
from benchmarks.measure import Spent, measured


def run_of(script: dict[tuple[str, int], dict[str, Any]], step: str) -> Any:
    """The action of a step: it asks the model, which answers at once, and keeps the record."""

    def act(state: State) -> State:
        iteration = state["iteration"]
        record = work.ask(work.prompt_of(state, step), script[step, iteration])
        changed: dict[str, Any] = {"steps": [*state["steps"], record]}
        if step == "experience":
            changed["priors"] = [*state["priors"], *work.priors_of(iteration)]
        if step == "update":
            changed["loop"] = record["output"]["loop"]
            if record["output"]["loop"]:
                changed["iteration"] = iteration + 1
                changed["query"] = record["output"]["next_query"]
        return state.update(**changed)

    kept = ["steps", "iteration", "priors", "query"]
    return action(reads=["prompt", "messages", *kept], writes=[*kept, "loop"])(act)


def build(persister: SQLitePersister, app_id: str, script: Any) -> Any:
    """An application for one run; this is Burr's way of beginning one."""
    return (
        ApplicationBuilder()
        .with_actions(**{f"{step}_step": run_of(script, step) for step in work.STEPS})
        .with_transitions(
            ("action_step", "experience_step"),
            ("experience_step", "intention_step"),
            ("intention_step", "observation_step"),
            ("observation_step", "update_step"),
            ("update_step", "action_step", expr("loop")),
            ("update_step", "yield_step"),
        )
        .with_state(**work.initial_state(), loop=False)
        .with_entrypoint("action_step")
        .with_identifiers(app_id=app_id, partition_key="bench")
        .with_state_persister(persister)
        .build()
    )


def go(persister: SQLitePersister, name: str, iterations: int, runs: int) -> Spent:
    """So many runs, one after the other."""
    script = work.script(iterations)
    with measured() as spent:
        for number in range(runs):
            application = build(persister, f"{name}-{number}", script)
            _, _, state = application.run(halt_after=["yield_step"])
            if len(state["steps"]) != work.steps_of(iterations):
                raise SystemExit(f"a run of Burr has {len(state['steps'])} steps")
    return spent


def main() -> None:
    runs = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "burr.sqlite3"
        persister = SQLitePersister(str(file))
        persister.connection.execute("PRAGMA journal_mode=WAL")
        persister.initialize()
        go(persister, "warm", 1, 5)
        short = go(persister, "short", 1, runs)
        long = go(persister, "long", 3, runs // 2)
        kept = persister.connection.execute("SELECT count(*) FROM burr_state").fetchone()[0]
        if kept < runs * work.steps_of(1) + runs // 2 * work.steps_of(3):
            raise SystemExit(f"Burr kept {kept} steps only")
        persister.cleanup()
    work.tell_of(short, long, runs)


if __name__ == "__main__":
    main()
