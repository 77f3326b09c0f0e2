"""How a start grows with what is stored, and whether one thread's opening depends on the others."""

from typing import Final

from benchmarks.figures import Contestant, Figure, Question, Target

_SIZES: Final = (100, 1_000, 10_000)
_NAMES: Final = tuple(f"{size:,} threads" for size in _SIZES)
_FEWEST, _MANY, _MOST = _NAMES
_NONE: Final = "no threads"
_TIMES: Final = 1.5
"""What a thread may take among the most of them, of what it takes among fewer: the same, if what
it costs does not depend on the others, and some noise."""

_WHOLE: Final = (("ready", "ready"), ("cpu", "CPU until ready"))
"""What is there at some moment of a start. Unfinished runs are taken up beside the opening of the
memory, which takes longer among many threads: so more of the runs' work comes before that moment."""
_GROWING: Final = (("recovered", "until the last run has finished"), ("memory", "memory"))
"""What a start comes to as a whole."""

LOAD = Question(
    name="load",
    title="Load and recovery",
    work=(
        "`chorus serve` starts on a folder of public threads of 50 entries each: a prompt and its"
        " answer, which took three iterations, rejected messages, and one that waits for votes with"
        " its deadline set. Two runs in a hundred are unfinished, and finish by themselves. The"
        " journal is a copy of one that `chorus verify` passes, its pages in the system's cache;"
        " the memory is embedded and holds both approved messages of each thread. A stranger searches"
        " once, so that everybody has the embedder's weights, and opens cold threads, one after the"
        " other, over one websocket. What a thread adds is counted above a start without any."
    ),
    figures=(
        Figure("ready", "time to ready", "s"),
        Figure("cpu", "CPU until ready", "s"),
        Figure("memory", "memory when all is recovered", "MiB"),
        Figure("recovered", "until every unfinished run has finished", "s"),
        Figure("opening", "first open of a cold thread, median", "ms"),
        Figure("opening_cpu", "first open of a cold thread, the server's CPU", "ms"),
    ),
    contestants=(
        Contestant(_NONE, "load_server", ("0",)),
        *(
            Contestant(name, "load_server", (str(size),), size=size)
            for name, size in zip(_NAMES, _SIZES, strict=True)
        ),
    ),
    targets=(
        *(
            Target(
                sentence=f"{what}: {_MOST} take at most ten times what {_MANY} take",
                figure=figure,
                ours=_MOST,
                against=(_MANY,),
                at_most=10,
            )
            for figure, what in _WHOLE
        ),
        *(
            Target(
                sentence=f"{what}: each of {_MOST} adds at most {_TIMES:g} times what each of {_MANY} does",
                figure=figure,
                ours=_MOST,
                against=(_MANY,),
                above=_NONE,
                at_most=_TIMES,
            )
            for figure, what in _GROWING
        ),
        *(
            Target(
                sentence=f"{what}: among {_MOST} as among {_FEWEST}, within a fifth",
                figure=figure,
                ours=_MOST,
                against=(_FEWEST,),
                at_most=1.2,
            )
            for figure, what in (
                ("opening", "a cold thread opens"),
                ("opening_cpu", "the CPU of opening a cold thread"),
            )
        ),
    ),
    rounds=5,
    seconds=900.0,
)

QUESTIONS: Final = (LOAD,)
