"""What it costs to export every run as a trace."""

from typing import Final

from benchmarks.figures import Contestant, Figure, Question, Target

_SERVERS: Final = "four servers"

TRACES = Question(
    name="traces",
    title="What traces cost",
    work=(
        "`chorus serve` four times, with a model that answers at once: six steps of some hundred words,"
        " the answer of 350. Four users of each have four runs, by turns, four times. Two of the servers"
        " export every run by OTLP to a collector on this machine, which takes it at once. Counted is"
        " the CPU of all, until the memory has everything and the collector the last span."
    ),
    figures=(
        Figure("plain", "CPU of a run, servers without an exporter", "ms"),
        Figure("traced", "CPU of a run, servers with one", "ms"),
        Figure("ratio", "the one to the other", ""),
    ),
    contestants=(Contestant(_SERVERS, "runs_traced"),),
    targets=(
        Target(
            sentence="every run is exported for at most 3% of the server's CPU",
            figure="ratio",
            ours=_SERVERS,
            at_most=1.03,
        ),
    ),
    rounds=5,
)

QUESTIONS: Final = (TRACES,)
"""One, of servers beside others."""
