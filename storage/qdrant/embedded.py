"""The memory embedded in this process: Qdrant's local mode as the store, an index to search.

Qdrant holds the points, and what it holds is what the memory holds. The index follows it: it is
read from Qdrant at the opening, after each write what was written is read back, and after a failure
it is forgotten and read anew. So nothing here knows which of a batch Qdrant took.
"""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from machines.models import errors
from machines.models.ids import PointId
from machines.models.outputs import Prior
from storage.memory.memory import Prepared
from storage.memory.values import Collection, QueryPoints, RemovePoints, WritePoints
from storage.private_files import make_private_folder
from storage.qdrant.store import QdrantStore, with_our_errors

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

    from storage.qdrant.hybrid_index import HybridIndex

log = logging.getLogger(__name__)

_PAGE: Final = 500
"""Points read into the index at once: each is some 12 KB while it is a list of Python's floats."""


class EmbeddedStore(QdrantStore):
    """A store in a folder that this process holds alone."""

    def __init__(self, folder: Path, dimensions: int, fingerprint: str) -> None:
        super().__init__(dimensions, fingerprint)
        self._folder = folder
        self._index: HybridIndex | None = None
        """What Qdrant holds of messages; None until it is read."""

    @with_our_errors
    def prepare(self, *, accept_other: bool) -> Prepared:
        """Also read the index, unless other vectors may be there: then no search comes yet."""
        prepared = super().prepare(accept_other=accept_other)
        if not accept_other:
            self._searchable()
        return prepared

    @with_our_errors
    def close(self) -> None:
        self._index = None
        super().close()

    def failed(self, error: Exception) -> None:
        """Trust nothing in memory that may not be on disk, nor an index that may lag behind."""
        self._index = None
        if isinstance(error, sqlite3.Error | OSError):
            client, self._client = self._client, None
            with suppress(Exception):
                if client is not None:
                    client.close()

    def drop(self, name: Collection) -> None:
        self._index = None
        super().drop(name)

    def _connect(self) -> "QdrantClient":
        kept = {name for name in Collection if _has_points_file(self._folder, name)}
        client = _open_folder(self._folder)
        # A collection whose file is gone is an empty one to Qdrant, as good as any.
        lost = {name for name in Collection if client.collection_exists(name)} - kept
        if lost:
            log.warning("the memory's points are gone (%s): it is empty", ", ".join(sorted(lost)))
        self._made |= lost
        return client

    def _write(self, effect: WritePoints) -> None:
        super()._write(effect)
        if self._index is not None and effect.collection is Collection.MESSAGES:
            self._index.put(self._stored([point.id for point in effect.points]))

    def _remove(self, effect: RemovePoints) -> None:
        super()._remove(effect)
        if self._index is not None and effect.collection is Collection.MESSAGES:
            self._index.remove(effect.ids)

    def _query(self, effect: QueryPoints) -> tuple[Prior, ...]:
        index = self._searchable()
        if not effect.text:
            return index.search(effect.vector, effect.scope, effect.limit)
        return index.find(effect)

    def _searchable(self) -> "HybridIndex":
        """The index; read from Qdrant, page by page, where there is none."""
        if self._index is None:
            from storage.qdrant.hybrid_index import HybridIndex

            dimensions = self._describe(Collection.MESSAGES)[0].dimensions
            index = HybridIndex(dimensions or self._dimensions)
            for ids in self._pages_of_ids():
                index.put(self._stored(ids))
            self._index = index
        return self._index

    def _pages_of_ids(self) -> Iterator[list[PointId]]:
        # Scrolling sorts all ids for each page, and walks from the first one: so do it once.
        everything = self._connected.count(Collection.MESSAGES).count
        records, _ = self._connected.scroll(
            Collection.MESSAGES, limit=max(1, everything), with_payload=False, with_vectors=False
        )
        ids = [PointId(str(record.id)) for record in records]
        for start in range(0, len(ids), _PAGE):
            yield ids[start : start + _PAGE]


def _has_points_file(folder: Path, name: Collection) -> bool:
    """Whether the file with a collection's points is there; an empty one is a lost one too."""
    from qdrant_client.local.persistence import STORAGE_FILE_NAME

    try:
        return (folder / "collection" / name / STORAGE_FILE_NAME).stat().st_size > 0
    except OSError:
        return False  # where it is there and out of reach, opening the folder tells why


def _open_folder(folder: Path) -> "QdrantClient":
    """The store in a folder. What cannot be understood is kept aside: the journal fills it again.

    Raises:
        ConnectionError: another process holds the folder, or it cannot be read and written.
    """
    from qdrant_client import QdrantClient

    try:
        make_private_folder(folder)
        try:
            return QdrantClient(path=str(folder))
        except (RuntimeError, OSError, sqlite3.OperationalError):
            raise
        except Exception as error:  # noqa: BLE001 - unpickling and parsing can raise anything
            aside = _set_aside(folder)
            log.warning(
                "the memory's folder is damaged: it is kept as %s, and filled again from the "
                "journal (%s)",
                aside.name,
                type(error).__name__,
            )
            return QdrantClient(path=str(folder))
    except RuntimeError as error:
        raise errors.ConnectionError(
            "The memory's folder is in use by another process: "
            "stop that one, or choose another data folder.",
            detail=str(folder),
        ) from error
    except (OSError, sqlite3.OperationalError) as error:
        raise errors.ConnectionError(
            "The memory's folder cannot be read and written: check its permissions.",
            detail=f"{folder}: {error!r}",
        ) from error


def _set_aside(folder: Path) -> Path:
    """Rename the folder; gives its new name. Raises OSError."""
    names = (folder.with_name(f"{folder.name}.damaged-{number}") for number in count(1))
    aside = next(name for name in names if not name.exists())
    return folder.rename(aside)
