"""The store of the memory on Qdrant, and the only package that imports `qdrant_client`.

`client` is what the composition root builds; `embedded` and `remote` are the two places where the
store may be. What makes an operation valid, and what follows an error, is decided in
`storage.memory`.
"""

__all__ = [
    "bounded_http",
    "client",
    "embedded",
    "errors",
    "exact_index",
    "hybrid_index",
    "remote",
    "store",
]
