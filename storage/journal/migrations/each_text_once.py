"""Entries of version 0.3.0 and before become bodies in which each text stands once.

They held an entry whole: its stream and number, what is empty, and each text up to three times. This is
the only code that knows that form. A body is rewritten from itself alone, so that it may be done one
entry at a time, and again; `storage.journal.bodies` says what came of it.

Like every migration it is a record of what was done to disks out there: it is never edited once
released, and imports nothing that goes on changing.
"""

from contextlib import suppress
from hashlib import blake2b
from typing import Any, Final

import sqlalchemy as sa
from pydantic_core import from_json, to_json

MARK: Final = "each_text_once"
"""The name in `meta` under which is written how far the work is, while it is not done."""

AT_ONCE: Final = 100
"""Rows that are rewritten in one transaction."""

_DAMAGED: Final = (ValueError, LookupError, TypeError, AttributeError)
"""What reading a value raises that is not what was written."""

_META: Final = sa.table("meta", sa.column("name", sa.Text), sa.column("value", sa.Text))
_ENTRIES: Final = sa.table(
    "entries",
    sa.column("position", sa.BigInteger),
    sa.column("stream", sa.Text),
    sa.column("seq", sa.BigInteger),
    sa.column("body", sa.Text),
    sa.column("digest", sa.LargeBinary),
)
_RUNS: Final = sa.table("runs", sa.column("id", sa.Text), sa.column("body", sa.Text))

_OF_EVENT: Final = ("text", "output", "usage", "partial")
_OF_VIEW: Final = {
    "message": (
        *("id", "thread_id", "index", "role", "author", "content", "html", "status", "approvals"),
        *("electors", "expires_at", "run_id", "model", "citations", "usage", "version"),
        *("created_at", "updated_at"),
    ),
    "thread": (
        *("id", "name", "visibility", "status", "co_authors", "token_balance", "version"),
        *("message_count", "created_at", "updated_at"),
    ),
}
_GATHERED: Final = frozenset({"prompt", "messages", "query", "priors", "steps"})
"""Of a run, what its row and most of its entries leave out."""


# --- One entry ----------------------------------------------------------------------------------


def rewritten(body: str) -> str:
    """The body in the new form; one that has it already stays as it is.

    Raises:
        ValueError: it is no entry of any version.
    """
    try:
        entry = from_json(body)
        return to_json(_rewritten(entry)).decode() if "stream" in entry else body
    except _DAMAGED as error:
        raise ValueError("the body is no entry") from error


def _rewritten(entry: dict[str, Any]) -> dict[str, Any]:
    event: dict[str, Any] = next(
        (each["event"] for each in entry["fired"] if each["machine"] == "chorus"), {}
    )
    new = {name: entry[name] for name in ("type", "kind", "at", "by")}
    if entry["request_id"] is not None:
        new["request_id"] = entry["request_id"]
    new["data"] = {
        name: _datum(name, value, event, entry["changes"]) for name, value in entry["data"].items()
    }
    if entry["fired"]:
        new["fired"] = [_fired(each) for each in entry["fired"]]
    if entry["transitions"]:
        new["transitions"] = entry["transitions"]
    if entry["changes"]:
        new["changes"] = [_change(each, event) for each in entry["changes"]]
    if entry["restricted_to"] is not None:
        new["restricted_to"] = entry["restricted_to"]
    if entry["fingerprint"]:
        new["fingerprint"] = entry["fingerprint"]
    return new


def _datum(name: str, value: Any, event: dict[str, Any], changes: list[dict[str, Any]]) -> Any:
    if name in _OF_EVENT and value is not None and value == event.get(name):
        return {"$": "event"}
    if name == "priors" and value:
        return {"$": [each["message_id"] for each in value]}
    if name in _OF_VIEW and isinstance(value, dict):
        for number, change in enumerate(changes):
            if change["kind"] == name and change["change"] != "deleted":
                shown = {each: change["value"].get(each) for each in _OF_VIEW[name]}
                if list(value.items()) == list(shown.items()):
                    return {"$": number}
        if name == "message":
            return {**value, "content": {"$": "content"}}
    return value


def _fired(fired: dict[str, Any]) -> dict[str, Any]:
    event = fired["event"]
    if fired["machine"] != "chorus" or event["event"] != "start":
        return fired
    return {
        **fired,
        "event": {**event, "messages": [each["message_id"] for each in event["messages"]]},
    }


def _change(change: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    if change["change"] == "deleted":
        return change
    value = change["value"]
    if change["kind"] == "message" and change["change"] == "updated":
        value = {**value, "content": {"$": "content"}}
    if change["kind"] == "run":
        value = _progress(value)
        if change["change"] == "created":
            same = change["value"]["query"] == change["value"]["prompt"]
            value["prompt"] = {"$": "content"}
            value["query"] = {"$": "content"} if same else change["value"]["query"]
        else:
            value |= _added(change["value"], event)
    return {**change, "value": value}


def _added(value: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    """What an event adds to a run, of all that the run has."""
    added: dict[str, Any] = {}
    asked = (event.get("output") or {}).get("next_query")
    if asked is not None and asked == value["query"]:
        added["query"] = {"$": "query"}
    # Before 0.2.0 a change held all priors, and a search brought some again, with another score.
    found = event.get("priors") or ()
    if ids := [each["message_id"] for each in value["priors"] if each in found]:
        added["priors"] = ids
    return added


def _progress(run: dict[str, Any]) -> dict[str, Any]:
    """A run without its texts."""
    kept = {name: value for name, value in run.items() if name not in _GATHERED}
    if error := kept.get("error_state"):
        kept["error_state"] = {name: value for name, value in error.items() if name != "partial"}
    return kept


# --- All of them --------------------------------------------------------------------------------


def begin(connection: sa.Connection) -> None:
    """Note that the work is to be done, in the caller's transaction."""
    if connection.scalar(sa.select(_ENTRIES.c.position).limit(1)) is not None:
        connection.execute(sa.insert(_META).values(name=MARK, value="entries 0"))


def is_begun(connection: sa.Connection) -> bool:
    """Whether there is work left to do."""
    return _mark(connection) is not None


def go_on(connection: sa.Connection, at_once: int = AT_ONCE) -> bool:
    """Rewrite the next rows, in the caller's transaction; False where nothing is left to do.

    What is damaged stays as it is, and `verify` names it.
    """
    mark = _mark(connection)
    if mark is None:
        return False
    stage, _, after = mark.partition(" ")
    last = (
        _rewrite_entries(connection, int(after), at_once)
        if stage == "entries"
        else _rewrite_runs(connection, after, at_once)
    )
    if last is not None:
        mark = f"{stage} {last}"
    elif stage == "entries":
        mark = "runs "
    else:
        connection.execute(sa.delete(_META).where(_META.c.name == MARK))
        return False
    connection.execute(sa.update(_META).where(_META.c.name == MARK).values(value=mark))
    return True


def _mark(connection: sa.Connection) -> str | None:
    return connection.scalar(sa.select(_META.c.value).where(_META.c.name == MARK))


def _rewrite_entries(connection: sa.Connection, after: int, at_once: int) -> object:
    """The position of the last of those that were rewritten; None where there is none."""
    rows = connection.execute(
        sa.select(_ENTRIES.c.position, *_texts(connection), _ENTRIES.c.seq, _ENTRIES.c.digest)
        .where(_ENTRIES.c.position > after)
        .order_by(_ENTRIES.c.position)
        .limit(at_once)
    ).all()
    update = (
        sa.update(_ENTRIES)
        .where(_ENTRIES.c.position == sa.bindparam("of_position"))
        .values(body=sa.bindparam("new_body"), digest=sa.bindparam("new_digest"))
    )
    for row in rows:
        with suppress(*_DAMAGED):
            stream, body = _text(row.stream), _text(row.body)
            if row.digest != _digest(stream, row.seq, body):
                continue  # it is not what was written
            body = rewritten(body)
            digest = _digest(stream, row.seq, body)
            connection.execute(
                update, {"of_position": row.position, "new_body": body, "new_digest": digest}
            )
    return rows[-1].position if rows else None


def _texts(connection: sa.Connection) -> list[sa.ColumnElement[Any]]:
    """Stream and body; SQLite gives a text that is no UTF-8 any more only as bytes."""
    columns = (_ENTRIES.c.stream, _ENTRIES.c.body)
    if connection.dialect.name != "sqlite":
        return list(columns)
    return [sa.cast(column, sa.LargeBinary).label(column.name) for column in columns]


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _digest(stream: str, seq: int, body: str) -> bytes:
    return blake2b(f"{seq} {stream}\n{body}".encode(), digest_size=16).digest()


def _rewrite_runs(connection: sa.Connection, after: str, at_once: int) -> object:
    """The id of the last of those that were rewritten; None where there is none."""
    rows = connection.execute(
        sa.select(_RUNS).where(_RUNS.c.id > after).order_by(_RUNS.c.id).limit(at_once)
    ).all()
    update = (
        sa.update(_RUNS)
        .where(_RUNS.c.id == sa.bindparam("of_run"))
        .values(body=sa.bindparam("new_body"))
    )
    for row in rows:
        with suppress(*_DAMAGED):
            body = to_json(_progress(from_json(row.body))).decode()
            connection.execute(update, {"of_run": row.id, "new_body": body})
    return rows[-1].id if rows else None
