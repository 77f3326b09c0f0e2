"""What streaming costs: many runs at once, and one run that many follow, against a raw relay."""

from typing import Final

from benchmarks.figures import Condition, Contestant, Figure, Question, Target
from server.runs.interpreter import GATHER_SECONDS

_ADDED_MS: Final = 2.0
"""What may come on top of the gathering window."""

_LEAST_SHARE: Final = 0.9
"""Of the tokens that are due in the window. On a busy machine all three processes fall behind, which
makes what is gathered cheaper and what is late later."""

_FIGURES: Final = (
    Figure("share", "tokens that came in the window, of those that were due", "", "more"),
    Figure("rate", "tokens that followers got for a second of the server's CPU", "", "more"),
    Figure("busy", "CPU of the server", "cores"),
    Figure("delay", "from the endpoint's sending to the follower's receipt, p50", "ms"),
    Figure("late", "the same, p99", "ms"),
    Figure("frames", "frames a second", ""),
    Figure("size", "bytes a token", ""),
)

_HOW: Final = (
    " An endpoint in a process of its own sends 50 tokens a second on each stream, the followers are"
    " in another; of the server between them the CPU of five seconds in which it streams and nothing"
    " else happens is counted. Every token must arrive, once and in order. The relay is aiohttp on"
    " uvloop: it sends each event's payload on as one frame, unread; ours reads it, keeps the text"
    f" and gathers {GATHER_SECONDS * 1000:.0f} ms of it into a frame."
)


def _question(name: str, way: str, title: str, work: str) -> Question:
    ours, relay = "chorus serve", "aiohttp relay"
    return Question(
        name=name,
        title=title,
        work=work + _HOW,
        figures=_FIGURES,
        contestants=(
            Contestant(ours, "streaming_chorus", (way,)),
            Contestant(relay, "streaming_relay", (way,)),
        ),
        targets=(
            Target(
                sentence="at least 0.7 of the relay's tokens for the same CPU",
                figure="rate",
                ours=ours,
                against=(relay,),
                at_least=0.7,
            ),
            Target(
                sentence=f"half of the tokens within the gathering window and {_ADDED_MS:g} ms",
                figure="delay",
                ours=ours,
                at_most=GATHER_SECONDS * 1000 + _ADDED_MS,
            ),
        ),
        conditions=(Condition("somebody fell behind", "share", _LEAST_SHARE),),
        rounds=5,
    )


QUESTIONS: Final = (
    _question(
        "streaming",
        "own",
        "Streaming: 200 runs at once",
        "200 runs stream their Action step, each to one follower.",
    ),
    _question(
        "streaming_crowd",
        "shared",
        "Streaming: 1,000 followers of one run",
        "One run streams its Action step to 1,000 followers.",
    ),
)
