"""The memory in this process: a store in a folder of this machine, and the index that searches it.

`store` is what the composition root builds; `database` and `vector_file` are its files, and
`entry_rows` says how the messages of an index lie there. The index
(`rows`, `exact_index`, `hybrid_index`) knows no store: a memory on a server ranks its candidates with
it too. Nothing here knows Qdrant.
"""

__all__ = [
    "database",
    "entry_rows",
    "exact_index",
    "filed_rows",
    "hybrid_index",
    "rows",
    "store",
    "vector_file",
]
