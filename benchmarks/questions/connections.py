"""How fast users sign in, and what a connection weighs while it is idle."""

from typing import Final

from benchmarks.figures import Contestant, Figure, Question, Target

RATE_AT_LEAST: Final = 0.6
"""Of the rate of bare sockets, which check no signature and remember no user."""

MEMORY_AT_MOST: Final = 1.5
"""Times what a bare socket weighs."""


def _question(count: int) -> Question:
    ours, bare, by_hand = "chorus", "bare aiohttp", "a sign-in by hand"
    return Question(
        name=f"connections-{count}",
        title=f"{count:,} connections",
        work=(
            f"{count:,} people sign in, a hundred at a time, and then are idle; the client"
            " is a process of its own. Bare aiohttp exchanges messages of the same number and size"
            " and does nothing. By hand, plainly written, it does what a sign-in is: a fresh"
            " challenge, the signature checked, two rows durable. Chorus checks each signature, and makes each"
            " session durable as entries of a journal."
        ),
        figures=(
            Figure("rate", "sign-ins per second", "", better="more"),
            Figure("per_cpu", "sign-ins per CPU second of the server", "", better="more"),
            Figure("memory", "memory per idle connection", "KiB"),
            Figure("client", "CPU of the client per sign-in", "ms"),
        ),
        contestants=(
            Contestant(ours, "connections_chorus", (str(count),)),
            Contestant(bare, "connections_bare", (str(count),)),
            Contestant(by_hand, "connections_by_hand", (str(count),)),
        ),
        targets=(
            Target(
                sentence="the connect rate is at least 0.6x, signature included",
                figure="rate",
                ours=ours,
                against=(bare,),
                at_least=RATE_AT_LEAST,
            ),
            Target(
                sentence="sign-ins per CPU second are at least 0.6x",
                figure="per_cpu",
                ours=ours,
                against=(bare,),
                at_least=RATE_AT_LEAST,
            ),
            Target(
                sentence="memory per connection is at most 1.5x",
                figure="memory",
                ours=ours,
                against=(bare,),
                at_most=MEMORY_AT_MOST,
            ),
        ),
        in_the_way=(
            "what a sign-in is. By hand, written plainly, it is made at half of the rate of"
            " sockets that do nothing, and Chorus reaches half of that. What it does beyond is flat: a chart takes four events and"
            " says why where it refuses one, every frame is validated, requests are limited and"
            " counted, a journal entry with its digest, two snapshots and a timer are written, and the"
            " threads of the newcomer are read."
        ),
        rounds=5,
    )


QUESTIONS: Final = (_question(1_000), _question(5_000))
