"""Alembic's entry: runs migrations on the connection, and in the transaction, that it was given.

Only Alembic loads this file, through `storage.journal.migrations.upgrade`.
"""

from alembic import context

connection = context.config.attributes["connection"]
# SQLite can roll back tables too; Alembic assumes that it cannot.
context.configure(connection=connection, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
