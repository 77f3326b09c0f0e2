"""What a run costs on either database, and what servers commit together."""

from typing import Final

from benchmarks.figures import Contestant, Figure, Question, Target

_SQLITE: Final = "SQLite"
_POSTGRES: Final = "PostgreSQL"
_TWO: Final = "PostgreSQL, two servers"
_SERVER: Final = "PostgreSQL, texts embedded by the server"

RUN = Question(
    name="run",
    title="What a run costs",
    work=(
        "`chorus serve` with a model that answers at once: six steps of some hundred words, the answer"
        " of 350. Eight users prompt again as soon as a run has ended, 32 times together, and wait until"
        " the memory has everything. The model's endpoint embeds the texts, but for one contestant."
        " The memory of PostgreSQL's servers is the stand-in of a Qdrant server."
    ),
    figures=(
        Figure("cpu", "CPU of the server", "ms"),
        Figure("database_cpu", "CPU of PostgreSQL", "ms"),
        Figure("commits", "durable commits", ""),
        Figure("entries", "entries", ""),
        Figure("stored", "bytes that stay", "KiB"),
        Figure("logged", "write-ahead log", "KiB"),
    ),
    contestants=(
        Contestant(_SQLITE, "run_cost", ("sqlite", "endpoint")),
        Contestant(_POSTGRES, "run_cost", ("postgres", "endpoint")),
        Contestant(_SERVER, "run_cost", ("postgres", "server")),
    ),
    targets=(
        Target(
            sentence="a run on PostgreSQL takes at most twice SQLite's CPU of the server",
            figure="cpu",
            ours=_POSTGRES,
            against=(_SQLITE,),
            at_most=2,
        ),
    ),
    rounds=3,
)

COMMITS = Question(
    name="commits",
    title="Commits of 100 streams",
    work=(
        "A hundred streams commit two entries with their snapshots, 1.6 KB, one batch after the other,"
        " for three seconds, durably: in one server, or shared out among two."
    ),
    figures=(
        Figure("commits", "batches a second, all servers together", "", "more"),
        Figure("cpu", "CPU of a server, of a batch", "ms"),
    ),
    contestants=(
        Contestant(_SQLITE, "journal_commits", ("sqlite", "100")),
        Contestant(_POSTGRES, "journal_commits", ("postgres", "100")),
        Contestant(_TWO, "journal_commits", ("postgres", "100", "2")),
    ),
    targets=(
        Target(
            sentence="PostgreSQL commits at least half as much as SQLite",
            figure="commits",
            ours=_POSTGRES,
            against=(_SQLITE,),
            at_least=0.5,
        ),
        Target(
            sentence="two servers commit at least 1.7 times as much as one",
            figure="commits",
            ours=_TWO,
            against=(_POSTGRES,),
            at_least=1.7,
        ),
    ),
    in_the_way=(
        "On two cores two servers and the database's processes share them: each of the three"
        " wants one."
    ),
    rounds=5,
)

QUESTIONS: Final = (RUN, COMMITS)
