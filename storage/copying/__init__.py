"""Copies a journal from one store into another: between a data folder and a database, or two alike.

`copier` does it, from one `place` to another: `folder` and `database` are the two kinds. `tables` says
what is copied and in which order, `cursor` how far a copy is; the cursor is kept in the target, so that
a copy which was killed goes on. Offline: both places are held. Nothing here knows what a row means, and
the memory is no part of a copy: it follows from the journal.
"""

__all__ = ["copier", "cursor", "database", "folder", "place", "tables"]
