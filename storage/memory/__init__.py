"""The memory that is searched, whatever store holds it.

Values, the pure verification of operations, their bounded recovery, the comparison with the journal's
facts, and the ranking of what is found: `words`, `word_index`, `surroundings`, `ranking`. `memory` is
the shell around a `VectorStore`. No particular store is known here:
the one on Qdrant is in `storage.qdrant`.
"""

__all__ = [
    "consistency",
    "facts",
    "memory",
    "months",
    "operations",
    "points",
    "ranking",
    "retrier",
    "sparse_words",
    "stop_words",
    "surroundings",
    "values",
    "vectors",
    "visibility",
    "word_index",
    "words",
]
