"""Whether a thread's next step costs more the longer the thread is."""

from typing import Final

from benchmarks.figures import Contestant, Figure, Question, Target

_SIZES: Final = (10, 1_000, 100_000)
_NAMES: Final = tuple(f"{size:,} messages" for size in _SIZES)
_FLAT: Final = 1.2
"""Times what it costs in the shortest thread: a fifth is noise."""

_COSTS: Final = (
    ("prompt", "the next prompt, from the request to the answer"),
    ("get_thread", "`get_thread`, its newest page"),
    ("vote", "a vote"),
)

GROWTH = Question(
    name="growth",
    title="A thread that grows",
    work=(
        "One public thread of so many approved messages, served by `chorus serve` from a journal on"
        " disk, over websockets. A co-author opens it 200 times and gets the newest fifty messages"
        " (ten of ten); the other rejects sixty messages of a stranger; then fifteen prompts are"
        " asked, each a run of the offline responder until its answer, followed live. Five of each"
        " come first and do not count. What counts is the CPU of the server for one of each. The memory is away, since how its search grows is"
        " asked above: experience says so, and the run goes on."
    ),
    figures=tuple(Figure(key, f"CPU of {label}", "ms") for key, label in _COSTS),
    contestants=tuple(
        Contestant(name, "growth_thread", (str(size),))
        for name, size in zip(_NAMES, _SIZES, strict=True)
    ),
    targets=(
        *(
            Target(
                sentence=f"flat: {label}, among {name} as among {_NAMES[0]}",
                figure=key,
                ours=name,
                against=(_NAMES[0],),
                at_most=_FLAT,
            )
            for key, label in _COSTS
            if key != "get_thread"
            for name in _NAMES[1:]
        ),
        Target(
            sentence=f"flat: {_COSTS[1][1]}, among {_NAMES[2]} as among {_NAMES[1]}",
            figure="get_thread",
            ours=_NAMES[2],
            against=(_NAMES[1],),
            at_most=_FLAT,
        ),
    ),
    rounds=5,
    seconds=300.0,
)

QUESTIONS: Final = (GROWTH,)
