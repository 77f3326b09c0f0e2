"""The rows of an index where the files of an embedded memory have them. Importing this module loads
numpy."""

from collections.abc import Mapping, Sequence
from typing import Any

from machines.models.ids import PointId
from storage.embedded.database import MemoryDatabase
from storage.embedded.rows import Float32s, Rows
from storage.embedded.vector_file import VectorFile


class FiledRows:
    """Vectors of a file, and payloads of a database: `KeptRows`."""

    def __init__(self, database: MemoryDatabase, vectors: VectorFile) -> None:
        self._database = database
        self._vectors = vectors

    def cosines(self, rows: Rows, query: Float32s) -> Float32s:
        """As `KeptRows` says."""
        return self._vectors.cosines(rows, query)

    def units(self, rows: Rows) -> Float32s:
        """As `KeptRows` says."""
        return self._vectors.units(rows)

    def payloads(self, rows: Sequence[int]) -> dict[int, Mapping[str, Any]]:
        """As `KeptRows` says."""
        return self._database.payloads(rows)

    def rows_of(self, ids: Sequence[PointId]) -> list[int]:
        """As `KeptRows` says."""
        return [known.row for known in self._database.known(ids).values()]
