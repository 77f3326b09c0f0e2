"""The two stores: the SQL journal, which is the truth, and the vector memory that follows it.

`journal` and `memory` know nothing of each other. `salvage` stands on the journal, `qdrant` on the
memory, and `folder_lock` keeps a second process out of the data folder. Of the machines, only their
models are known here.
"""

__all__ = ["folder_lock", "journal", "memory", "qdrant", "salvage"]
