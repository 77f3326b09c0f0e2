"""What the searched memory takes of this machine's memory, and how long it takes to open."""

from typing import Final

from benchmarks.figures import Contestant, Figure, Question, Target

_MESSAGES: Final = 100_000
_UNIT: Final = 1_000
_OURS: Final = "chorus"
_EMPTY: Final = "chorus, empty"

QUESTIONS: Final = (
    Question(
        name="memory",
        title=f"A memory of {_MESSAGES:,} messages",
        work=(
            "A process opens a memory that is on disk, its pages in the system's cache, and searches it twenty"
            " times; the messages are those of the searches above. Memory is what the process holds by itself"
            " then, pages of files included. The wait is how long another thread of the process waited for the"
            " interpreter at most, as an event loop would. qdrant-client is its embedded store, searched twice."
            " Qdrant Edge is Qdrant's engine in the process, without a graph, with vectors and payloads on"
            " disk; it is asked for the scores of all points, which our ranking adds up with those of the"
            " words, and has no words and no rights to keep."
        ),
        figures=(
            Figure("memory", "memory", "MiB"),
            Figure("opening", "time to open", "s"),
            Figure("opening_cpu", "CPU to open", "s"),
            Figure("wait", "the longest wait of another thread", "ms"),
        ),
        contestants=(
            Contestant(_EMPTY, "memory_kept", ("0", "chorus")),
            Contestant(_OURS, "memory_kept", (str(_MESSAGES), "chorus"), size=_MESSAGES // _UNIT),
            Contestant(
                "qdrant-client, embedded",
                "memory_kept",
                (str(_MESSAGES), "library"),
                size=_MESSAGES // _UNIT,
            ),
            Contestant(
                "Qdrant Edge",
                "memory_edge",
                (str(_MESSAGES),),
                peer=True,
                size=_MESSAGES // _UNIT,
            ),
        ),
        targets=(
            Target(
                "at most 2.5 KiB a message more than an empty memory, in MiB a thousand: 250 MB in all",
                "memory",
                _OURS,
                above=_EMPTY,
                at_most=250e6 / 2**20 / (_MESSAGES / _UNIT),
            ),
            Target("opens in at most 2 s", "opening", _OURS, at_most=2.0),
        ),
        in_the_way=(
            "what else the machine did: the time to open is compared with the CPU that it took. All that is"
            " read is held against its checksum at each opening."
        ),
        rounds=3,
        seconds=900.0,  # the first one makes the folders
    ),
)
