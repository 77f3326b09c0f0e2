"""The body of an entry: the JSON that its row holds, in which each text stands once.

A `JournalEntry` says everything that its frame and its snapshots need, so the same text stands in it
up to three times, and a message's content in every entry that is about the message. A body holds what
is new with its entry, and refers to the rest. A reference is an object with the one key `$`:

    {"$": "event"}      in `data`: the field of this name of the run's event in this entry
    {"$": n}            in `data`: the message or thread as change n of this entry leaves it
    {"$": "content"}    the content of the message that the object around it is about
    {"$": "query"}      in a run's change: the query that the step's output asks for
    {"$": [id, ...]}    in `data`: priors of the run, which the entry that added them holds

The messages that a run reads when it starts are ids, those that a fork keeps too, and so are the
priors that a change adds. What else a fork keeps says `storage.journal.kept`. Stream and number are
columns of the row, and the digest is about them too; what is empty is left out.

    body = body_of(entry)                                  # to be written
    stored = from_json(body)
    needs = needs_of([stored])                             # what must be read beside it
    entry = entry_of(stream, seq, stored, sources)

Pure functions: `storage.journal.entries` reads what bodies refer to.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import to_json

from machines.models.chorus import ChorusEvent, Prefix, RunStarted, StepCompleted
from machines.models.domain import Created, Deleted, StateTransition, Updated
from machines.models.journal import ChorusFired, Fired, JournalEntry, fields_of
from machines.models.outputs import Prior, UpdateOutput
from machines.models.wire.views import MessageView, ThreadView
from storage.journal.kept import fork_body, prompt_of, runs_kept, whole_prefix
from storage.journal.sources import REF, Needs, Sources, Stored, reference, run_event_of

_EVENT: Final = {REF: "event"}
_CONTENT: Final = {REF: "content"}
_QUERY: Final = {REF: "query"}

_OF_EVENT: Final = ("text", "output", "usage", "partial")
"""Fields of a run's frames that are fields of the event which they answer."""

_VIEWS: Final[Mapping[str, type[BaseModel]]] = {"message": MessageView, "thread": ThreadView}
"""Fields of `data` that show a value, by the value's kind."""


# --- Writing ------------------------------------------------------------------------------------


def body_of(entry: JournalEntry) -> str:
    """The body of an entry.

    Raises:
        ValueError: it holds text that is no UTF-8, or a value that JSON cannot say.
    """
    event = _run_event(entry.fired)
    stored: Stored = {"type": entry.type, "kind": entry.kind, "at": entry.at, "by": entry.by}
    if entry.request_id is not None:
        stored["request_id"] = entry.request_id
    stored["data"] = _data(entry, event)
    if entry.fired:
        stored["fired"] = [_fired(each) for each in entry.fired]
    if entry.transitions:
        stored["transitions"] = entry.transitions
    if entry.changes:
        stored["changes"] = [_change(each, event) for each in entry.changes]
    if entry.restricted_to is not None:
        stored["restricted_to"] = entry.restricted_to
    if entry.fingerprint:
        stored["fingerprint"] = entry.fingerprint
    return to_json(stored, inf_nan_mode="null").decode()


def _run_event(fired: Iterable[Fired]) -> ChorusEvent | None:
    return next((each.event for each in fired if isinstance(each, ChorusFired)), None)


def _data(entry: JournalEntry, event: ChorusEvent | None) -> dict[str, object]:
    data = entry.data
    referring: dict[str, object] = {}
    if event is not None:
        for name in _OF_EVENT:
            value = data.get(name)
            if value is not None and value == getattr(event, name, None):
                referring[name] = _EVENT
        match data.get("priors"):
            case (Prior(), *_) as priors:
                ids = [each.message_id for each in priors if isinstance(each, Prior)]
                referring["priors"] = {REF: ids}
    for name, shape in _VIEWS.items():
        view = data.get(name)
        if isinstance(view, shape):
            referring[name] = _view(name, view, entry.changes)
    return {**data, **referring} if referring else data


def _view(kind: str, view: Any, changes: tuple[StateTransition, ...]) -> object:
    for number, change in enumerate(changes):
        # A version names one value, whichever shape shows it.
        if (change.kind, change.id, change.version) == (kind, view.id, view.version):
            return {REF: number}
    return {**vars(view), "content": _CONTENT} if kind == "message" else view


def _fired(fired: Fired) -> object:
    if not isinstance(fired.event, RunStarted):
        return fired
    ids = [each.message_id for each in fired.event.messages]
    return {**vars(fired), "event": {**fields_of(fired.event), "messages": ids}}


def _change(change: StateTransition, event: ChorusEvent | None) -> object:
    if isinstance(change, Deleted):
        return change
    match change.kind:
        case "message" if isinstance(change, Updated):
            referring: dict[str, object] = {"content": _CONTENT}
        case "run" if isinstance(change, Created):
            # A run's prompt is the content of its message, and what it searches for at first.
            same = change.value["query"] == change.value["prompt"]
            referring = {"query": _CONTENT} if same else {}
            prefix = change.value.get("prefix")
            if prefix is None:
                referring["prompt"] = _CONTENT
            else:
                referring |= fork_body(Prefix.model_validate(prefix), change.value["prompt"])
        case "run" if "query" in change.value and change.value["query"] == _next_query(event):
            referring = {"query": _QUERY}
        case _:
            return change
    return {**vars(change), "value": {**change.value, **referring}}


def _next_query(event: ChorusEvent | None) -> str | None:
    output = event.output if isinstance(event, StepCompleted) else None
    return output.next_query if isinstance(output, UpdateOutput) else None


# --- Reading ------------------------------------------------------------------------------------


def needs_of(bodies: Iterable[Stored], known: Sources) -> Needs:
    """What `bodies` refer to that is not known yet."""
    needs = Needs()
    for stored in bodies:
        needs.messages.update(_messages_in(stored) - known.messages.keys())
        data = stored["data"]
        for prefix in _prefixes_in(stored):
            needs.runs.update(runs_kept(prefix, known))
        ids = reference(data.get("priors"))
        if isinstance(ids, list) and (missing := known.lacks(data["run_id"], ids)):
            needs.priors.setdefault(data["run_id"], set()).update(missing)
    return needs


def entry_of(stream: str, seq: int, stored: Stored, sources: Sources) -> JournalEntry:
    """The entry that a body was made of.

    Raises:
        ValueError: it is no body, or refers to what is not there.
    """
    try:
        changes = [_whole_change(each, stored, sources) for each in stored.get("changes", ())]
        return JournalEntry.model_validate(
            {
                **stored,
                "stream": stream,
                "seq": seq,
                "data": _whole_data(stored, changes, sources),
                "fired": [_whole_fired(each, sources) for each in stored.get("fired", ())],
                "changes": changes,
            }
        )
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"a body lacks {error}") from error


def query_of(value: Mapping[str, Any], stored: Stored, prompt: str) -> str | None:
    """The query that a run's change sets; None where it leaves it as it is."""
    query = value.get("query")
    match reference(query):
        case None:
            return None if query is None else str(query)
        case "content":
            return prompt
        case _:
            return str(_told_event(stored)["output"]["next_query"])


def _told_event(stored: Stored) -> Mapping[str, Any]:
    """The event that a reference of a body is about. Raises ValueError where it has none."""
    event = run_event_of(stored)
    if event is None:
        raise ValueError("a body refers to an event that it lacks")
    return event


def _prefixes_in(stored: Stored) -> Iterator[Stored]:
    """What the forks that an entry creates begin with."""
    for change in stored.get("changes", ()):
        if change["kind"] == "run" and "prefix" in change.get("value", {}):
            yield change["value"]["prefix"]


def _messages_in(stored: Stored) -> set[str]:
    """Ids of the messages that a body refers to."""
    ids: set[str] = set()
    message = stored["data"].get("message")
    if isinstance(message, dict) and reference(message.get("content")) is not None:
        ids.add(message["id"])
    for change in stored.get("changes", ()):
        value = change.get("value", {})
        if change["kind"] == "message" and reference(value["content"]) is not None:
            ids.add(change["id"])
        elif change["kind"] == "run":
            if reference(value.get("prompt")) == "content":
                ids.add(value["message_id"])
            ids.update(value.get("prefix", {}).get("messages", ()))
    event = run_event_of(stored)
    if event is not None:
        ids.update(event.get("messages", ()))
    return ids


def _whole_change(change: Stored, stored: Stored, sources: Sources) -> Stored:
    value = change.get("value", {})
    whole: dict[str, object] = {}
    if change["kind"] == "message" and reference(value.get("content")) is not None:
        whole["content"] = sources.content(change["id"])
    elif change["kind"] == "run":
        prompt = ""
        if "prompt" in value:
            whole["prompt"] = prompt = prompt_of(value, sources)
        if "prefix" in value:
            whole["prefix"] = whole_prefix(value["prefix"], prompt, sources)
        if reference(value.get("query")) is not None:
            whole["query"] = query_of(value, stored, prompt)
    return {**change, "value": {**value, **whole}} if whole else change


def _whole_fired(fired: Stored, sources: Sources) -> Stored:
    event = fired["event"]
    if fired["machine"] != "chorus" or "messages" not in event:
        return fired
    quoted = [sources.quoted(each) for each in event["messages"]]
    return {**fired, "event": {**event, "messages": quoted}}


def _whole_data(stored: Stored, changes: Sequence[Stored], sources: Sources) -> Stored:
    whole: Stored = dict(stored["data"])
    for name, value in whole.items():
        match reference(value):
            case None:
                if name == "message" and isinstance(value, dict) and "content" in value:
                    whole[name] = _whole_message(value, sources)
            case "event":
                whole[name] = _told_event(stored)[name]
            case int(number):
                shown = changes[number]["value"]
                whole[name] = {
                    each: shown.get(each)
                    for each, shape in _VIEWS[name].model_fields.items()
                    if each in shown or shape.exclude_if is None
                }
            case list(ids):
                whole[name] = sources.priors_of(whole["run_id"], ids)
            case unknown:
                raise ValueError(f"there is no reference {unknown}")
    return whole


def _whole_message(view: Stored, sources: Sources) -> Stored:
    if reference(view["content"]) is None:
        return view
    return {**view, "content": sources.content(view["id"])}
