"""How soon every follower of a thread has heard of an entry, and what that costs the server."""

from typing import Final

from benchmarks.figures import Contestant, Figure, Question, Target

AT_LEAST: Final = 0.7
"""Of the rate of a loop that sends one string."""


def _question(count: int) -> Question:
    ours, bare = "chorus", "bare aiohttp"
    return Question(
        name=f"fanout-{count}",
        title=f"One entry to {count:,} followers",
        work=(
            f"{count:,} people follow a public thread whose author renames it, again and again; the"
            " clock runs from the request until the last follower has the frame. Bare aiohttp sends"
            " one string of the same size in a plain loop; Chorus decides, makes the entry durable"
            " and sends it then."
        ),
        figures=(
            Figure("all", "until the last follower has it, median", "ms"),
            Figure("slow", "until the last follower has it, 95th percentile", "ms"),
            Figure("rate", "frames per second", "", better="more"),
            Figure("per_cpu", "frames per CPU second of the server", "", better="more"),
        ),
        contestants=(
            Contestant(ours, "fanout_chorus", (str(count),)),
            Contestant(bare, "fanout_bare", (str(count),)),
        ),
        targets=(
            Target(
                sentence="frames per second are at least 0.7x, until the last follower has its own",
                figure="rate",
                ours=ours,
                against=(bare,),
                at_least=AT_LEAST,
            ),
            Target(
                sentence="frames per CPU second are at least 0.7x",
                figure="per_cpu",
                ours=ours,
                against=(bare,),
                at_least=AT_LEAST,
            ),
        ),
        rounds=5,
    )


QUESTIONS: Final = (_question(1_000), _question(5_000))
