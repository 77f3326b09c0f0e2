"""A process that writes messages into an embedded memory until it is killed, and says how far it came.

python -m tests.storage.embedded.memory_process FOLDER FIRST
"""

import sys
from pathlib import Path

from storage.embedded.store import EmbeddedStore
from storage.memory.points import Collection
from storage.memory.values import WritePoints
from tests.storage.embedded.stored_messages import DIMENSIONS, EMBEDDER, message

BATCH = 4


def main(folder: Path, first: int) -> None:
    """Messages from this number on; each second batch replaces the one before it."""
    store = EmbeddedStore(folder, DIMENSIONS, EMBEDDER)
    store.prepare(accept_other=False)
    while True:
        for seq in (1, 2):
            points = tuple(message(number, seq=seq) for number in range(first, first + BATCH))
            store.perform(WritePoints(collection=Collection.MESSAGES, points=points, when="newer"))
            print(first, seq, flush=True)
        first += BATCH


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
