"""The migrations, one numbered module each; Alembic loads them by file."""
