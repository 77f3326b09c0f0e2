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
    in_the_way=(
        "many short stretches of work between waits for the disk. The transactions of a run alone,"
        " written by sqlite3 with nothing before them, take a third of what the target leaves. Before"
        " each, a machine decides, two entries are made that say what happened, what caused it and"
        " what it changed, a prompt is quoted piece by piece, and the batch goes to the writer's thread"
        " and back; then frames and the next effect follow. That takes half as many instructions as"
        " Burr's work does (28 against 58 million a run, by callgrind on 2026-11-22), but each stretch begins with"
        " cold caches, where an instruction takes twice as long. One transaction for several steps"
        " would be faster, and a step would not be durable when the next begins."
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
