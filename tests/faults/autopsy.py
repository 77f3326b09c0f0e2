"""What a killed server left on its disk, read from a copy and held against what it had promised.

The files are copied first: to open a journal recovers it, and that is for the next server to do.
Nothing of the project reads here but the standard library's sqlite3, so a defect of our reader cannot
hide one of our writer.
"""

import json
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from storage.journal.sqlite import JOURNAL_FILE
from tests.faults.tireless_model import Step

Key = tuple[str, str]
"""(public key, request id)."""


@dataclass
class Autopsy:
    """The journal as far as it was read; `read` goes on where the last one ended."""

    heads: Counter[str] = field(default_factory=Counter)
    """The last number of each stream."""
    problems: list[str] = field(default_factory=list)
    lost: int = 0
    duplicated: int = 0
    replies: dict[Key, dict[str, Any]] = field(default_factory=dict)
    completed: dict[str, set[Step]] = field(default_factory=dict)
    """By run."""
    live_runs: set[str] = field(default_factory=set)
    _position: int = 0
    _entries: int = 0
    _carried_out: Counter[tuple[str, ...]] = field(default_factory=Counter)
    _requests: set[str] = field(default_factory=set)
    _prompts: dict[str, str] = field(default_factory=dict)
    """By message, and by the run of a fork that has another."""

    def read(self, data: Path) -> None:
        """Read what is new, and note gaps, and entries that are gone. Blocks on the disk."""
        with _opened_copy(data) as journal:
            rows = journal.execute(
                "SELECT position, stream, seq, body FROM entries WHERE position > ? "
                "ORDER BY position",
                (self._position,),
            ).fetchall()
            for position, stream, seq, body in rows:
                self._position = position
                self._take(stream, seq, json.loads(body))
            self._entries += len(rows)
            (there,) = journal.execute("SELECT count(*) FROM entries").fetchone()
            if there != self._entries:
                self._lose(f"{self._entries - there} entries that were durable are gone")
            bodies = journal.execute("SELECT body FROM replies").fetchall()
            self.replies = {
                (reply["public_key"], reply["request_id"]): reply
                for reply in (json.loads(body) for (body,) in bodies)
            }
            self.live_runs = {id_ for (id_,) in journal.execute("SELECT id FROM runs WHERE live")}

    def completed_steps(self) -> set[Step]:
        """The steps that nobody may ask a model for again: those of the runs that go on."""
        return {step for run in self.live_runs for step in self.completed.get(run, ())}

    def check(self, acknowledged: Mapping[Key, Mapping[str, Any]]) -> None:
        """Hold replies that clients got against what is there: each is carried out once."""
        for key, reply in acknowledged.items():
            kept = self.replies.get(key)
            if kept is None:
                self._lose(f"the answer to the acknowledged request {key[1]} is gone: {reply}")
                continue
            if key[1] not in self._requests:
                self._lose(f"the acknowledged request {key[1]} stands in no entry: {reply}")
            for name in ("thread_id", "message_id", "run_id", "seq"):
                if name in reply and kept.get(name) != reply[name]:
                    self._lose(
                        f"request {key[1]} was told {name} {reply[name]}, now {kept.get(name)}"
                    )
        for what, times in self._carried_out.items():
            problem = f"carried out {times} times: {' '.join(what)}"
            if times > 1 and problem not in self.problems:
                self.duplicated += 1
                self.problems.append(problem)

    def _take(self, stream: str, seq: int, entry: Mapping[str, Any]) -> None:
        if seq != self.heads[stream] + 1:
            self._lose(f"{stream} has entry {seq} after {self.heads[stream]}")
        self.heads[stream] = seq
        data = entry["data"]
        if entry.get("request_id") is not None:
            # Ids are unique; who asked is not in the entries that the system adds.
            self._requests.add(entry["request_id"])
            about = (str(data.get(name)) for name in ("message_id", "run_id", "public_key"))
            what = (entry["request_id"], entry["kind"], *about)
            self._carried_out[what] += 1
        for change in entry.get("changes", ()):
            match change["change"], change["kind"]:
                case "created", "message" if entry["kind"] == "message_submitted":
                    self._prompts[change["id"]] = change["value"]["content"]
                case "created", "run" if isinstance(change["value"].get("prompt"), str):
                    # Of a fork; any other run has its message's, by reference.
                    self._prompts[change["id"]] = change["value"]["prompt"]
        if entry["type"] == "chorus_response" and entry["kind"] == "completed":
            prompt = self._prompts.get(data["run_id"]) or self._prompts[data["message_id"]]
            step = Step(prompt, data["step"], data["iteration"])
            steps = self.completed.setdefault(data["run_id"], set())
            if step in steps:
                self.duplicated += 1
                self.problems.append(f"{step} of run {data['run_id']} was completed twice")
            steps.add(step)

    def _lose(self, what: str) -> None:
        if what not in self.problems:
            self.lost += 1
            self.problems.append(what)


@contextmanager
def _opened_copy(data: Path) -> Iterator[sqlite3.Connection]:
    with tempfile.TemporaryDirectory() as folder:
        for file in data.glob(f"{JOURNAL_FILE}*"):
            if not file.name.endswith("-shm"):  # made anew from the log, as after a power cut
                shutil.copy(file, folder)
        with closing(sqlite3.connect(Path(folder) / JOURNAL_FILE)) as journal:
            yield journal
