"""A standby of a database that lacks what is committed after it was made, and takes its place.

    standby = Standby(cluster, url)      # every connection is ended for a moment
    ...                                  # what is committed now is lost
    standby.promote()

The name of the database leads to the standby from then on. Whoever was connected finds it by the next
connection, as after a failover.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.postgres import Cluster


class Standby:
    """A copy of a database as it is when this is made."""

    def __init__(self, cluster: Cluster, url: str, name: str = "standby") -> None:
        self._cluster = cluster
        self._url = url
        self._name = url.rpartition("/")[2]
        self._copy = f"{self._name}_{name}"
        with self._alone():
            cluster.run(f"CREATE DATABASE {self._copy} TEMPLATE {self._name}")

    @property
    def url(self) -> str:
        """Of the standby, until it is promoted."""
        return self._cluster.url(self._copy)

    def promote(self) -> None:
        """Let it take the place of the database, which is gone with what was committed since."""
        with self._alone():
            self._cluster.run(f"DROP DATABASE {self._name}")
            self._cluster.run(f"ALTER DATABASE {self._copy} RENAME TO {self._name}")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody is connected to the database."""
        self._cluster.run(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS false")
        self._cluster.terminate_connections(self._url)
        yield
        self._cluster.run(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS true")
