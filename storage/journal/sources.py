"""What the bodies of entries refer to outside themselves, and where it stands: pure.

A message stands in the entry that created it, and as a snapshot. What a run found and completed stands in
its own entries, and so does what a fork changed.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Stored = dict[str, Any]
"""A body that was parsed."""

REF: Final = "$"
"""The one key of a reference."""

StepKey = tuple[str, int]
"""A step of a run, and its iteration."""


def reference(value: object) -> object:
    """What a reference says; None where it is none."""
    return value[REF] if isinstance(value, dict) and value.keys() == {REF} else None


@dataclass(frozen=True, slots=True)
class Needs:
    """What bodies refer to outside themselves."""

    messages: set[str] = field(default_factory=set)
    """Ids of messages."""
    priors: dict[str, set[str]] = field(default_factory=dict)
    """Ids of priors that frames show, by run."""
    runs: set[str] = field(default_factory=set)
    """Of which forks keep something."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What bodies refer to."""

    messages: dict[str, Stored] = field(default_factory=dict)
    """The JSON of messages, of whichever version: content, author and role never change."""
    priors: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By run, then by id: those that its own entries hold."""
    steps: dict[str, dict[StepKey, Mapping[str, Any]]] = field(default_factory=dict)
    """By run: those that its own entries hold."""
    prompts: dict[str, str] = field(default_factory=dict)
    """By run: what forks asked instead of their messages."""
    makers: dict[str, dict[str, str]] = field(default_factory=dict)
    """By fork: the run that found a prior which the fork keeps, by the prior's id."""

    def learn(self, stored: Stored) -> None:
        """Take what a body holds that others refer to; of one run, in the order of its entries."""
        for change in stored.get("changes", ()):
            if change["change"] == "created" and change["kind"] == "message":
                self.messages.setdefault(change["id"], change["value"])
            elif change["change"] == "created" and "prefix" in change["value"]:
                self._learn_fork(change["id"], change["value"])
        for run_id, prior in added_priors(stored):
            self.priors.setdefault(run_id, {}).setdefault(prior["message_id"], prior)
        event = run_event_of(stored)
        if event is not None and event["event"] == "step_completed":
            self._learn_step(event["run_id"], event)

    def content(self, message_id: str) -> str:
        """Raises ValueError where the message is not there."""
        return str(self._message(message_id)["content"])

    def quoted(self, message_id: str) -> dict[str, Any]:
        """A message as runs quote it. Raises ValueError where it is not there."""
        message = self._message(message_id)
        return {
            "message_id": message_id,
            "role": message["role"],
            "author": message["author"],
            "content": message["content"],
            "created_at": message["created_at"],
        }

    def priors_of(self, run_id: str, ids: Iterable[str]) -> list[Any]:
        """Priors that a run found or keeps. Raises ValueError where one is not there."""
        makers = self.makers.get(run_id, {})
        found: list[Any] = []
        for each in ids:
            known = self.priors.get(makers.get(each, run_id), {})
            if each not in known:
                raise ValueError(f"the run {run_id} lacks its prior {each}")
            found.append(known[each])
        return found

    def lacks(self, run_id: str, ids: Iterable[str]) -> set[str]:
        """Those of a run's priors that are not known."""
        makers = self.makers.get(run_id, {})
        return {each for each in ids if each not in self.priors.get(makers.get(each, run_id), {})}

    def makers_of(self, priors: Mapping[str, Iterable[str]]) -> set[str]:
        """Runs that found what forks keep of these priors, which are told by run."""
        return {
            self.makers[run_id][each]
            for run_id, ids in priors.items()
            for each in ids
            if each in self.makers.get(run_id, {})
        }

    def step(self, run_id: str, key: StepKey) -> Mapping[str, Any]:
        """A step that a run completed, or changed as a fork. Raises ValueError where it is not there."""
        try:
            return self.steps[run_id][key]
        except KeyError as error:
            raise ValueError(f"the run {run_id} lacks its step {key[0]} of {key[1]}") from error

    def asked(self, run_id: str) -> str:
        """What a fork asks instead of its message. Raises ValueError where it is not there."""
        try:
            return self.prompts[run_id]
        except KeyError as error:
            raise ValueError(f"the run {run_id} lacks its prompt") from error

    def _learn_fork(self, run_id: str, value: Stored) -> None:
        prefix = value["prefix"]
        for step in own_steps(prefix):
            self._learn_step(run_id, step)
        for part in prefix.get("kept", ()):
            for prior_id in part["priors"]:
                self.makers.setdefault(run_id, {})[prior_id] = part["run_id"]
        match reference(value["prompt"]):
            case None:
                self.prompts[run_id] = value["prompt"]
            case "change":
                self.prompts[run_id] = prefix["change"]["text"]

    def _learn_step(self, run_id: str, step: Mapping[str, Any]) -> None:
        key = (step["step"], step["iteration"])
        self.steps.setdefault(run_id, {}).setdefault(key, step)

    def _message(self, message_id: str) -> Stored:
        try:
            return self.messages[message_id]
        except KeyError as error:
            raise ValueError(f"there is no message {message_id}") from error


def run_event_of(stored: Stored) -> Mapping[str, Any] | None:
    """The event that the run of an entry accepted."""
    for fired in stored.get("fired", ()):
        if fired["machine"] == "chorus":
            event: Mapping[str, Any] = fired["event"]
            return event
    return None


def added_priors(stored: Stored) -> Iterator[tuple[str, Any]]:
    """(run, prior) of each prior that an entry adds to its run, or that a fork begins with and holds."""
    for change in stored.get("changes", ()):
        for prior in change.get("value", {}).get("prefix", {}).get("priors", ()):
            yield change["id"], prior
    event = run_event_of(stored)
    if event is None or "priors" not in event:
        return
    found: dict[str, Any] = {}
    for prior in event["priors"]:
        found.setdefault(prior["message_id"], prior)
    for change in stored.get("changes", ()):
        if change["kind"] == "run":
            for id_ in change["value"].get("priors", ()):
                yield change["id"], found[id_]


def own_steps(prefix: Stored) -> list[Stored]:
    """The steps that the entry of a fork holds: the one that it changed, or all in a journal that
    keeps copies."""
    changed: str = prefix["change"]["text"]
    return [
        step if reference(step["text"]) is None else {**step, "text": changed}
        for step in prefix["steps"]
    ]
