"""The memory that is searched, whatever store holds it.

Values, the pure verification of operations, their bounded recovery, and the comparison with the
journal's facts. `memory` is the shell around a `VectorStore`. No particular store is known here:
the one on Qdrant is in `storage.qdrant`.
"""

__all__ = [
    "consistency",
    "facts",
    "memory",
    "operations",
    "retrier",
    "values",
    "vectors",
    "visibility",
]
