"""The two stores: the SQL journal, which is the truth, and the vector memory that follows it.

`journal` and `memory` know nothing of each other. `copying` and `salvage` stand on the journal, `embedded` and
`qdrant` on the memory; `folder_lock` keeps a second process out of the data folder, and `private_files`
other accounts. Of the machines, only their models are known here.
"""

__all__ = [
    "copying",
    "embedded",
    "folder_lock",
    "journal",
    "memory",
    "private_files",
    "qdrant",
    "salvage",
]
