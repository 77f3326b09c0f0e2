"""Chorus itself: the followers of a public thread, each a person of their own, hear of its entries.

An entry is a `rename_thread` of the thread's author: decided by the thread's chart, durable in the
journal (SQLite, synchronous=FULL), remembered against repetition, and only then sent to each
follower, whose rights are looked at for each frame. All of that is in the time that is measured.

    python -m benchmarks.contestants.fanout_chorus 1000
"""

import sys

from benchmarks.contestants import connections_load as load
from benchmarks.contestants.fanout_measured import Ask, measure
from benchmarks.measure import tell


async def gather(url: str, count: int) -> tuple[load.Line, list[load.Line], Ask]:
    """The author's line, which follows nothing, and those of the followers."""
    author, *others = load.people(count + 1)
    asking = await load.sign_in(url, author)
    made = await load.ask(
        asking, load.request("create_thread", "t", name="Evening", visibility="public"), "accepted"
    )
    thread_id = made["thread_id"]
    lines = await load.sign_in_all(url, others)
    for line in lines:
        await load.ask(
            line, load.request("get_thread", "g", thread_id=thread_id), "thread_messages"
        )

    def ask(number: int) -> bytes:
        return load.request(
            "rename_thread", f"rename-{number}", thread_id=thread_id, name=f"Evening {number:04}"
        )

    return asking, lines, ask


def main() -> None:
    """Measure as many followers as the argument says."""
    tell(**measure(load.chorus(), int(sys.argv[1]), gather))


if __name__ == "__main__":
    main()
