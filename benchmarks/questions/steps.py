"""What a step costs: the same six-step run in Chorus and in two frameworks, every step durable."""

from typing import Final

from benchmarks.figures import Contestant, Figure, Question, Target

_RUNS: Final = "60"
_PEERS: Final = ("LangGraph", "Burr")

STEP = Question(
    name="step",
    title="The cost of a step",
    work=(
        "Runs of the six-step loop, one after the other: the model answers at once, the first search"
        " brings twelve priors and each later one nine, as many as a run of Chorus takes, and every"
        " step is on disk before the next begins (SQLite in WAL mode,"
        " `synchronous=FULL`, for everyone). The peers keep the same state and put the same material"
        " into their prompts. Chorus also takes the request, numbers and journals each transition"
        " with what caused it, and makes the answer a message of the thread. A long run has three"
        " iterations, sixteen steps."
    ),
    figures=(
        Figure("run_cpu", "CPU of a run of six steps", "ms"),
        Figure("step_cpu", "CPU of one step of a long run", "ms"),
        Figure("run_wall", "time of a run of six steps", "ms"),
        Figure("run_bytes", "written for a run of six steps", "KB"),
    ),
    contestants=(
        Contestant("chorus", "step_chorus", (_RUNS,)),
        Contestant("its transactions alone", "step_floor", (_RUNS,)),
        Contestant("LangGraph", "step_langgraph", (_RUNS,), peer=True),
        Contestant("Burr", "step_burr", (_RUNS,), peer=True),
    ),
    targets=(
        Target(
            sentence="a run costs less than half of the better peer's",
            figure="run_cpu",
            ours="chorus",
            against=_PEERS,
            at_most=0.5,
        ),
        Target(
            sentence="a step costs less than half of the better peer's",
            figure="step_cpu",
            ours="chorus",
            against=_PEERS,
            at_most=0.5,
        ),
    ),
)

QUESTIONS: Final = (STEP,)
