"""`chorus` as it is, with a watch on its event loop from the moment that it can be reached.

    python -m tests.support.watched_server serve ...

What held the loop is printed to standard error when the server ends, a line each that begins with
`HELD`.
"""

import asyncio
import sys

from server import cli
from server.commands import serve
from tests.support.loop_watch import LoopWatch

HELD = "HELD the loop for "


def main() -> None:
    """Run the command line; see the module."""
    watches: list[LoopWatch] = []
    announce = serve.announce

    def announced(line: str) -> None:
        watches.append(LoopWatch(asyncio.get_running_loop()).__enter__())
        announce(line)

    serve.announce = announced
    try:
        cli.main()
    finally:
        for watch in watches:
            watch.__exit__(None, None, None)
            for hold in watch.holds:
                sys.stderr.write(f"{HELD}{hold}\n")


if __name__ == "__main__":
    main()
