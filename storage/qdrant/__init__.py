"""The store of the memory on a Qdrant server, and the only package that imports `qdrant_client`.

`client` is what the composition root builds, of this store or of the one in `storage.embedded`; `store`
and `remote` are the one on Qdrant, and load the library when they connect: it is heavy. Which servers
will do is in `versions`. What makes an operation valid, and what follows an error, is decided in
`storage.memory`.
"""

__all__ = [
    "bounded_http",
    "client",
    "errors",
    "remote",
    "store",
    "transport",
    "versions",
]
