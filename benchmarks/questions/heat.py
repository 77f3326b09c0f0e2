"""Whether a question about what the machines did costs more the more entries the journal has."""

from typing import Final

from benchmarks.figures import Contestant, Figure, Question, Target

_SIZES: Final = (1_000, 100_000, 1_000_000)
_STORES: Final = {"sqlite": "SQLite", "postgres": "PostgreSQL"}
_NAMES: Final = {
    (store, size): f"{name}, {size:,} entries" for store, name in _STORES.items() for size in _SIZES
}
_FLAT: Final = 1.5
"""Times what it costs among a hundred thousand: fuller days have a few more buckets, and no more rows."""
_EMPTY: Final = 4.0
"""Times what it costs among a thousand, of which most hours have none: there rows are few and short."""

_ASKED: Final = (("every", "of all threads"), ("one", "of one thread"))


def _asked_of(store: str) -> tuple[tuple[str, str], ...]:
    """The figures of a store that must be flat, and what they are of."""
    return (*_ASKED, ("pages", "pages read")) if store == "postgres" else _ASKED


HEAT = Question(
    name="heat",
    title="What the machines did, by the entries of the journal",
    work=(
        "A journal of so many entries, of ten threads and thirty days: runs that go through their six"
        " steps. All of it is counted, as a server counts it behind its commits; then it is asked 60"
        " times what the machines did in the last week, in all threads and in one. What counts is the"
        " median of the answers, and of PostgreSQL the pages that it reads for one; beside it stands the CPU"
        " of counting an entry, once."
    ),
    figures=(
        *(Figure(key, f"an answer {label}, p50", "ms") for key, label in _ASKED),
        Figure("pages", "pages that PostgreSQL reads for an answer of all threads", ""),
        Figure("counting", "CPU of counting an entry", "us"),
    ),
    contestants=tuple(
        Contestant(name, "heat_journal", (store, str(size)))
        for (store, size), name in _NAMES.items()
    ),
    targets=tuple(
        Target(
            sentence=f"flat: {label}, {_NAMES[store, size]} as {fewer:,}",
            figure=key,
            ours=_NAMES[store, size],
            against=(_NAMES[store, fewer],),
            at_most=at_most,
        )
        for store in _STORES
        for fewer, size, at_most in zip(_SIZES, _SIZES[1:], (_EMPTY, _FLAT), strict=False)
        for key, label in _asked_of(store)
    ),
    rounds=3,
    seconds=900.0,
)

QUESTIONS: Final = (HEAT,)
