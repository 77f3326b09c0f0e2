"""LangGraph with its asynchronous SQLite saver: one thread a run, durable before the next step.

`durability="sync"` is LangGraph's name for what Chorus does: a step's outcome is on disk before the
next begins. Its saver sets WAL mode by itself; SQLite's default `synchronous=FULL` holds. The graph
is compiled once.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any, TypedDict

import uvloop
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph

from benchmarks import work
from benchmarks.measure import Spent, measured


class RunState(TypedDict, total=False):
    """What a run keeps."""

    prompt: str
    query: str
    messages: list[dict[str, Any]]
    priors: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    iteration: int
    status: str
    loop: bool


def node_of(script: dict[tuple[str, int], dict[str, Any]], step: str) -> Any:
    """The node of a step: it asks the model, which answers at once, and keeps the record."""

    async def act(state: RunState) -> RunState:
        iteration = state["iteration"]
        record = work.ask(work.prompt_of(state, step), script[step, iteration])
        changed: RunState = {"steps": [*state["steps"], record]}
        if step == "experience":
            changed["priors"] = [*state["priors"], *work.priors_of(iteration)]
        if step == "update":
            changed["loop"] = record["output"]["loop"]
            if record["output"]["loop"]:
                changed["iteration"] = iteration + 1
                changed["query"] = record["output"]["next_query"]
        return changed

    return act


def graph(saver: AsyncSqliteSaver, script: Any) -> Any:
    """The compiled loop."""
    builder = StateGraph(RunState)
    for step in work.STEPS:
        builder.add_node(step, node_of(script, step))
    builder.add_edge(START, "action")
    builder.add_edge("action", "experience")
    builder.add_edge("experience", "intention")
    builder.add_edge("intention", "observation")
    builder.add_edge("observation", "update")
    builder.add_conditional_edges(
        "update", lambda state: "action" if state["loop"] else "yield", ["action", "yield"]
    )
    builder.add_edge("yield", END)
    return builder.compile(checkpointer=saver)


async def go(saver: AsyncSqliteSaver, name: str, iterations: int, runs: int) -> Spent:
    """So many runs, one after the other."""
    compiled = graph(saver, work.script(iterations))
    with measured() as spent:
        for number in range(runs):
            state = await compiled.ainvoke(
                work.initial_state(),
                {"configurable": {"thread_id": f"{name}-{number}"}, "recursion_limit": 50},
                durability="sync",
            )
            if len(state["steps"]) != work.steps_of(iterations):
                raise SystemExit(f"a run of LangGraph has {len(state['steps'])} steps")
    return spent


async def main() -> None:
    runs = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncSqliteSaver.from_conn_string(
            str(Path(folder) / "langgraph.sqlite3")
        ) as saver:
            await go(saver, "warm", 1, 5)
            short = await go(saver, "short", 1, runs)
            long = await go(saver, "long", 3, runs // 2)
            cursor = await saver.conn.execute("SELECT count(*) FROM checkpoints")
            (kept,) = await cursor.fetchone() or (0,)
            if kept < runs * work.steps_of(1) + runs // 2 * work.steps_of(3):
                raise SystemExit(f"LangGraph kept {kept} steps only")
    work.tell_of(short, long, runs)


if __name__ == "__main__":
    uvloop.run(main())
