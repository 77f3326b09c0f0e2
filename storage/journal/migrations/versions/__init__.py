"""The numbered migrations, one module each; a published one is never changed.

Alembic finds them in this folder and imports them by path. A migration imports nothing of Chorus:
it does what it did when it was written, whatever became of the tables since. Each says in `servers`
whether servers of the release before go on beside it (`storage.journal.migrations.steps`).
"""
