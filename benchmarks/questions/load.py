"""How a start grows with what is stored, and whether one thread's opening depends on the others."""

from typing import Final

from benchmarks.figures import Contestant, Figure, Question, Target

_SIZES: Final = (100, 1_000, 10_000)
_NAMES: Final = tuple(f"{size:,} threads" for size in _SIZES)
_FEWEST, _MANY, _MOST = _NAMES
_TIMES: Final = 10.0
"""From one size to the next."""

_GROWING: Final = (("ready", "ready"), ("cpu", "CPU until ready"), ("memory", "memory"))

LOAD = Question(
    name="load",
    title="Load and recovery",
    work=(
        "`chorus serve` starts on a folder of public threads of 50 entries each: a prompt and its"
        " answer, which took three iterations, rejected messages, and one that waits for votes with"
        " its deadline set. Two runs in a hundred are unfinished, and finish by themselves. The"
        " journal is a copy of one that `chorus verify` passes, its pages in the system's cache;"
        " the memory is embedded and holds both approved messages of each thread. Then a stranger"
        " opens cold threads, one after the other, over one websocket."
    ),
    figures=(
        Figure("ready", "time to ready", "s"),
        Figure("cpu", "CPU until ready", "s"),
        Figure("memory", "memory when all is recovered", "MiB"),
        Figure("recovered", "until every unfinished run has finished", "s"),
        Figure("opening", "first open of a cold thread, median", "ms"),
        Figure("opening_cpu", "first open of a cold thread, the server's CPU", "ms"),
    ),
    contestants=tuple(
        Contestant(name, "load_server", (str(size),))
        for name, size in zip(_NAMES, _SIZES, strict=True)
    ),
    targets=(
        *(
            Target(
                sentence=f"{what}: {more} take at most 10 times as much as {less}",
                figure=figure,
                ours=more,
                against=(less,),
                at_most=_TIMES,
            )
            for figure, what in _GROWING
            for less, more in ((_FEWEST, _MANY), (_MANY, _MOST))
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
