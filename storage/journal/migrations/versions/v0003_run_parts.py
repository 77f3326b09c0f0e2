"""What a run gathers becomes rows of their own, written once: its messages, steps and priors.

The entries stay as they were written: theirs hold all that the run had each time, so the first entry
that holds a part is the one that added it. What is damaged stays as it is, and `verify` names it.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import sqlalchemy as sa
from alembic import op
from pydantic_core import from_json, to_json

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None
servers = "stop"

_KINDS: Final = ("steps", "priors")

_DAMAGED: Final = (ValueError, LookupError, TypeError, AttributeError)
"""What reading a value raises that is not what was written."""

_ENTRIES: Final = sa.table(
    "entries",
    sa.column("position", sa.BigInteger),
    sa.column("seq", sa.BigInteger),
    sa.column("run_id", sa.Text),
    sa.column("body", sa.Text),
)
_RUNS: Final = sa.table(
    "runs", sa.column("id", sa.Text), sa.column("context", sa.Text), sa.column("body", sa.Text)
)


def upgrade() -> None:
    """Make the table, fill it from the rows and the entries, and take the parts out of the rows."""
    parts = op.create_table(
        "run_parts",
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("idx", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "kind", "key"),
    )
    connection = op.get_bind()
    strip = (
        sa.update(_RUNS)
        .where(_RUNS.c.id == sa.bindparam("of_run"))
        .values(body=sa.bindparam("new_body"))
    )
    for run_id in connection.scalars(sa.select(_RUNS.c.id)).all():
        run = connection.execute(sa.select(_RUNS).where(_RUNS.c.id == run_id)).one()
        rows = list(_parts_of(connection, run_id))
        if run.context is not None:
            rows.append(_row(run_id, "messages", "", 0, 0, run.context))
        if rows:
            connection.execute(sa.insert(parts), rows)
        with suppress(*_DAMAGED):
            kept = {
                name: value for name, value in from_json(run.body).items() if name not in _KINDS
            }
            connection.execute(strip, {"of_run": run_id, "new_body": to_json(kept).decode()})
    op.drop_column("runs", "context")


def _parts_of(connection: sa.Connection, run_id: str) -> Iterator[dict[str, Any]]:
    bodies = (
        sa.select(_ENTRIES.c.seq, _ENTRIES.c.body)
        .where(_ENTRIES.c.run_id == run_id)
        .order_by(_ENTRIES.c.position)
    )
    known: set[tuple[str, str]] = set()
    for seq, body in connection.execute(bodies):
        with suppress(*_DAMAGED):
            for row in _parts_in(from_json(body), run_id, seq):
                named = (row["kind"], row["key"])
                if named not in known:
                    known.add(named)
                    yield row


def _parts_in(entry: dict[str, Any], run_id: str, seq: int) -> list[dict[str, Any]]:
    return [
        _row(run_id, kind, _key(kind, part), seq, idx, to_json(part).decode())
        for change in entry.get("changes", ())
        if (change["kind"], change["id"]) == ("run", run_id)
        for kind in _KINDS
        for idx, part in enumerate(change["value"].get(kind, ()))
    ]


def _row(run_id: str, kind: str, key: str, seq: int, idx: int, body: str) -> dict[str, Any]:
    return {"run_id": run_id, "kind": kind, "key": key, "seq": seq, "idx": idx, "body": body}


def _key(kind: str, part: dict[str, Any]) -> str:
    return f"{part['iteration']}/{part['step']}" if kind == "steps" else str(part["message_id"])
