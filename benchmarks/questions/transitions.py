"""What one transition costs: each chart, an event that is accepted and one that is refused."""

from typing import Final

from benchmarks.figures import Contestant, Figure, Question, Target

_CHARTS: Final = ("chorus", "message", "connection", "thread", "breaker")
_OURS: Final = "chorus"
_LIVING: Final = "python-statemachine, a living instance"
_CASES: Final = tuple(
    (f"{chart}_{end}", chart, end) for chart in _CHARTS for end in ("accepted", "refused")
)

TRANSITIONS = Question(
    name="transitions",
    title="The cost of a transition",
    work=(
        "A value goes through its chart from the beginning to the end, event by event, and one event"
        " on its way is refused. Everybody calls the same guards and actions and makes the same"
        " frozen values, which are compared; a machine that lives with its value is built before the"
        " clock runs. Ours alone also names the edges taken and the guards that were false."
    ),
    figures=tuple(
        Figure(key, f"{chart}, an event that is {end}", "us of CPU") for key, chart, end in _CASES
    ),
    contestants=(
        Contestant(_OURS, "transition_chorus"),
        Contestant(_LIVING, "transition_statemachine", ("living",)),
        Contestant(
            "python-statemachine, loaded for each event", "transition_statemachine", ("loaded",)
        ),
        Contestant("transitions", "transition_transitions", peer=True),
        Contestant("sismic", "transition_sismic", peer=True),
        Contestant("a dict", "transition_dict"),
    ),
    targets=tuple(
        Target(
            sentence=f"{chart}, {end}: no slower than python-statemachine on a living instance",
            figure=key,
            ours=_OURS,
            against=(_LIVING,),
            at_most=1.0,
        )
        for key, chart, end in _CASES
    ),
)

QUESTIONS: Final = (TRANSITIONS,)
