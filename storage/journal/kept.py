"""What a fork keeps, as the body of its first entry says it: names of runs in place of their texts.

`storage.journal.bodies` says what references there are. In a fork's `prefix` they are

    "kept": [{"run_id", "steps": [[step, iteration], ...], "priors": [id, ...]}, ...]
                        what each run of its lineage made of what it keeps, in order
    "steps", "priors"   what no run of these made: the step that it changed
    {"$": "change"}     the text of its change
    {"$": "prompt"}     the prompt of the run

and its prompt is the content of its message, its change, or {"$": "asked_by"}: that of the fork which
changed it. Nothing is referred to that refers to something else. The first version that forked runs
wrote no `kept`, and all that a fork keeps as it is.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from machines.models.chorus import Prefix
from machines.models.fork import ChangeKind
from machines.models.journal import fields_of
from storage.journal.sources import REF, Sources, Stored, own_steps, reference

_CHANGE: Final = {REF: "change"}
_PROMPT: Final = {REF: "prompt"}
_ASKED_BY: Final = {REF: "asked_by"}
_CONTENT: Final = {REF: "content"}


def fork_body(prefix: Prefix, prompt: object) -> Stored:
    """What the change that creates a fork says in its body of its prefix and its prompt."""
    body: Stored = fields_of(prefix) | {"messages": [each.message_id for each in prefix.messages]}
    if not prefix.kept:
        return {"prefix": body, "prompt": prompt}
    steps, priors = iter(prefix.steps), iter(prefix.priors)
    body["kept"] = [
        {
            "run_id": part.run_id,
            "steps": [(each.step, each.iteration) for each in islice(steps, part.steps)],
            "priors": [each.message_id for each in islice(priors, part.priors)],
        }
        for part in prefix.kept
    ]
    changed = prefix.change.text
    body["steps"] = [
        fields_of(each) | ({"text": _CHANGE} if each.text == changed else {}) for each in steps
    ]
    body["priors"] = list(priors)
    if prefix.query == prompt:
        body["query"] = _PROMPT
    if prefix.change.kind is ChangeKind.INSTRUCTIONS and changed:
        body["instructions"] = _CHANGE
    if prefix.change.kind is ChangeKind.PROMPT:
        return {"prefix": body, "prompt": _CHANGE}
    return {"prefix": body, "prompt": _CONTENT if prefix.asked_by is None else _ASKED_BY}


def whole_prefix(prefix: Stored, prompt: str, sources: Sources) -> Stored:
    """What a fork begins with, as its run has it. Raises ValueError where something is not there."""
    kept = prefix.get("kept", ())
    steps = [sources.step(each["run_id"], (step, n)) for each in kept for step, n in each["steps"]]
    found = [prior for each in kept for prior in sources.priors_of(each["run_id"], each["priors"])]
    whole: Stored = {
        **prefix,
        "steps": [*steps, *own_steps(prefix)],
        "priors": [*found, *prefix.get("priors", ())],
        "messages": [sources.quoted(each) for each in prefix["messages"]],
    }
    if kept:
        whole["kept"] = [
            {**each, "steps": len(each["steps"]), "priors": len(each["priors"])} for each in kept
        ]
    if reference(prefix["query"]) is not None:
        whole["query"] = prompt
    if reference(prefix.get("instructions")) is not None:
        whole["instructions"] = prefix["change"]["text"]
    return whole


def prompt_of(value: Stored, sources: Sources) -> str:
    """What a run asks, by the change that created it. Raises ValueError where it is not there."""
    match reference(value["prompt"]):
        case None:
            return str(value["prompt"])
        case "change":
            return str(value["prefix"]["change"]["text"])
        case "asked_by":
            return sources.asked(value["prefix"]["asked_by"])
        case _:
            return sources.content(value["message_id"])


def runs_kept(prefix: Stored, known: Sources) -> Iterator[str]:
    """Runs that hold something which a fork keeps and that is not known yet."""
    for part in prefix.get("kept", ()):
        run_id = part["run_id"]
        wanted = {(step, iteration) for step, iteration in part["steps"]}
        if wanted - known.steps.get(run_id, {}).keys() or known.lacks(run_id, part["priors"]):
            yield run_id
    if (asked_by := prefix.get("asked_by")) is not None and asked_by not in known.prompts:
        yield asked_by
