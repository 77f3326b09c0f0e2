"""Chorus itself: `chorus serve` in a process of its own, users who really sign in.

Every sign-in is whole: a challenge that names the host and a fresh nonce, a signature that is
checked, a user and a session that are durable in the journal (SQLite, synchronous=FULL) before
`init` is sent. Sign-ins that come at the same moment share a commit, as they do in use. Limits that
are about abuse are off by their settings; nothing else is.

    python -m benchmarks.contestants.connections_chorus 1000
"""

import sys

from benchmarks.contestants import connections_load as load
from benchmarks.contestants.connections_signed_in import measure
from benchmarks.measure import tell


def main() -> None:
    """Measure as many connections as the argument says."""
    tell(**measure(load.chorus(), int(sys.argv[1])))


if __name__ == "__main__":
    main()
