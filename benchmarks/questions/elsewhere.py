"""How much later followers at another server of the same database get what is written."""

from typing import Final

from benchmarks.figures import Contestant, Figure, Question, Target

_ENTRIES: Final = "entries, by the database"
_TEXT: Final = "text while it is written, by Redis"

ELSEWHERE = Question(
    name="elsewhere",
    title="Followers at another server",
    work=(
        "Two servers, each a process, on one PostgreSQL that waits for the disk, and one Redis. A client"
        " follows a thread at both; 300 entries, or 300 pieces of a text, are written at the first."
        " Told is how much later the second connection got the same frame. Both gather text for"
        " 40 ms before it is sent."
    ),
    figures=(
        Figure("p50", "later, the median", "ms"),
        Figure("p99", "later, of a hundred the slowest", "ms"),
        Figure("frames", "frames that both got", "", better="more"),
    ),
    contestants=(
        Contestant(_ENTRIES, "followers_elsewhere", ("entries",)),
        Contestant(_TEXT, "followers_elsewhere", ("text",)),
    ),
    targets=(
        Target(
            sentence="half of the entries come within 10 ms",
            figure="p50",
            ours=_ENTRIES,
            at_most=10.0,
        ),
        Target(
            sentence="99 of 100 entries come within 50 ms",
            figure="p99",
            ours=_ENTRIES,
            at_most=50.0,
        ),
        Target(
            sentence="half of the pieces come within 5 ms of gathering",
            figure="p50",
            ours=_TEXT,
            at_most=5.0,
        ),
    ),
    rounds=3,
)

QUESTIONS: Final = (ELSEWHERE,)
