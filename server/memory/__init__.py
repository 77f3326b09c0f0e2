"""The memory as runs and searches use it: fed from the journal, searched with the reader's rights.

Here are also the embeddings port and the memory's health. How points are stored is `storage`'s to
know.
"""

__all__ = ["embedders", "embeddings", "health", "opening", "points", "recall"]
