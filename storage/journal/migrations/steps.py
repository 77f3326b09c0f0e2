"""What a revision declares besides what it changes: what becomes of servers of the release before.

A module of `versions/` says `servers = "go on"` where they may read and write the tables beside the new
ones: it adds a table, a column that may be NULL or has a default, or an index. Everything else says
`servers = "stop"`, and so does one that changes no table, where new servers write what the former ones
cannot read. An index on a table that is there has a revision of its own, which names it as
`index = (name, table, columns)`, so that it is built without keeping commits waiting.
"""

from dataclasses import dataclass
from enum import StrEnum
from types import ModuleType


class Servers(StrEnum):
    """What servers of the release before do while a revision is made, and behind it."""

    GO_ON = "go on"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class BuiltIndex:
    """An index on a table that is there."""

    name: str
    table: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One revision."""

    revision: str
    servers: Servers
    index: BuiltIndex | None
    """What it builds, and then all that it does."""

    @classmethod
    def of(cls, module: ModuleType) -> "Step":
        """
        Raises:
            AttributeError, ValueError: the module does not say what servers do.
        """
        index: tuple[str, str, tuple[str, ...]] | None = getattr(module, "index", None)
        return cls(
            module.revision, Servers(module.servers), None if index is None else BuiltIndex(*index)
        )
