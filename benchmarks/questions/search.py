"""How long a search of the memory takes that keeps to what may be read, and what it does to a stream."""

from typing import Final

from benchmarks.figures import Contestant, Figure, Question, Target

_OURS: Final = "chorus"
_VECTORS: Final = "vectors alone"
_NUMPY: Final = "numpy, exact"

_FIGURES: Final = (
    Figure("p50", "time of a search while runs stream, p50", "ms"),
    Figure("p99", "time of a search while runs stream, p99", "ms"),
    Figure("cpu", "CPU of a search", "ms"),
    Figure("delay_p99", "delay of streamed deltas by searches, p99", "ms"),
    Figure("delay_most", "delay of streamed deltas by searches, the longest", "ms"),
)

_TARGETS: Final = (
    Target("at most twice numpy, p50", "p50", _OURS, against=(_NUMPY,), at_most=2.0),
    Target("at most twice numpy, p99", "p99", _OURS, against=(_NUMPY,), at_most=2.0),
    Target("no streaming delay above 20 ms caused by it", "delay_most", _OURS, at_most=20.0),
)

_WORK: Final = (
    "The 80 nearest of {count:,} messages among those that the searcher may read (three in ten), of"
    " 384 numbers each, one search after another, while twenty runs stream 50 deltas a second each"
    " on the same event loop. numpy has one float32 matrix, makes a mask for each search, and ends"
    " with the same validated values as ours, in a worker thread; the floor gives numbers of rows"
    " alone and blocks the loop. qdrant-client is the embedded store used plainly in a worker"
    " thread, with the rights as its filter or, where told, without any. Delays are what searches"
    " back to back add to those of the runs alone. Every answer is compared with the exact one."
)


_WORDS_WORK: Final = (
    "As above, but each search has eight words and is ranked as the server ranks: by vector, words,"
    " author, neighbours and thread, and each text once. Messages have 52 words, of a vocabulary in"
    " which a few are everywhere and most are rare. Vectors alone are the searches above. Of answers by"
    " words the rights are checked, and that nothing comes twice."
)


def _among(count: int, contestants: tuple[Contestant, ...], rounds: int) -> Question:
    return Question(
        name=f"search_{count // 1_000}k",
        title=f"Searching {count:,} messages",
        work=_WORK.format(count=count),
        figures=_FIGURES,
        contestants=contestants,
        targets=_TARGETS,
        rounds=rounds,
        seconds=600.0,  # the first one makes the folder
    )


def _ours(count: int, searches: int) -> tuple[Contestant, ...]:
    arguments = (str(count), str(searches))
    return (
        Contestant(_OURS, "search_ours", (*arguments, "vectors")),
        Contestant(_NUMPY, "search_numpy", (*arguments, "values")),
        Contestant("numpy, the floor", "search_numpy", (*arguments, "rows")),
    )


def _with_words(count: int, searches: int) -> Question:
    """What the words cost."""
    arguments = (str(count), str(searches))
    return Question(
        name=f"search_words_{count // 1_000}k",
        title=f"Searching {count:,} messages by words and surroundings too",
        work=_WORDS_WORK,
        figures=_FIGURES,
        contestants=(
            Contestant(_OURS, "search_ours", (*arguments, "hybrid")),
            Contestant(_VECTORS, "search_ours", (*arguments, "vectors")),
        ),
        targets=(
            Target("at most twice vectors alone, p50", "p50", _OURS, (_VECTORS,), at_most=2.0),
            Target("at most twice vectors alone, CPU", "cpu", _OURS, (_VECTORS,), at_most=2.0),
        ),
        in_the_way=(
            "work that the vectors have no part in. The query is split and stemmed, the postings of"
            " its words are weighed over what the searcher may read, and shares of the neighbours'"
            " and the thread's scores are added for every message, since the best are not known"
            " before; then each text is shown once. It is done on arrays, in the same thread as the"
            " vectors, and comes to as much as they take, with the wait of the loop between."
        ),
        rounds=5,
        seconds=600.0,
    )


def _qdrant(name: str, count: int, searches: int, mode: str) -> Contestant:
    return Contestant(name, "search_qdrant", (str(count), str(searches), mode))


_FILTERED: Final = "qdrant-client, filter"
_UNFILTERED: Final = "qdrant-client, no filter"

QUESTIONS: Final = (
    _among(
        1_000,
        (
            *_ours(1_000, 500),
            _qdrant(_FILTERED, 1_000, 100, "filter"),
            _qdrant(_UNFILTERED, 1_000, 100, "all"),
        ),
        rounds=5,
    ),
    _among(
        10_000,
        (
            *_ours(10_000, 300),
            _qdrant(_FILTERED, 10_000, 20, "filter"),
            _qdrant(_UNFILTERED, 10_000, 50, "all"),
        ),
        rounds=5,
    ),
    # Without a filter it takes 0.2 s a search there and answers another question: left out.
    _among(
        100_000,
        (*_ours(100_000, 100), _qdrant(_FILTERED, 100_000, 3, "filter")),
        rounds=3,
    ),
    _with_words(1_000, 500),
    _with_words(10_000, 300),
)
