"""`explain_run` and `explain_value`: why a run, or another value, became what it is, by its entries and the
declarations that wrote them."""

import asyncio
from typing import Any

from machines.charts import known_declarations
from machines.decisions.explanation import Explanation, explain
from machines.decisions.rights import no_such_run, no_such_value
from machines.declarations import Declaration, UnreadableDeclaration, read_declaration
from machines.models.chorus import ChorusState, RunStatus
from machines.models.ids import thread_stream
from machines.models.journal import JournalEntry
from machines.models.wire.explained import AskedWith, RunExplanationData, ValueExplanationData
from machines.models.wire.frames import RunExplanationFrame, ValueExplanationFrame
from machines.models.wire.request_data import ExplainRunData, ExplainValueData
from server.sessions.pages import FRAME_ROOM
from server.wire.bounds import fitting, size_of
from storage.journal.history import DECLARATION
from storage.journal.port import Journal


class Explanations:
    """Explains what runs, messages and all that is voted on became; keeps the declarations of charts that it
    met."""

    def __init__(self, journal: Journal, turn: asyncio.Lock) -> None:
        """
        Args:
            turn: Held by whoever goes through many entries, so that all other reads find a reader.
        """
        self._journal = journal
        self._turn = turn
        self._declared: dict[str, Declaration] = {}

    async def explained(self, wanted: ExplainRunData, *, is_inside: bool) -> RunExplanationFrame:
        """The transitions of a run, and of what it moved with it, behind `after_seq`, as many as one frame
        holds.

        Args:
            is_inside: Whether who asks is a co-author, to whom alone forked runs are told, and what a
                run was asked with.

        Raises:
            RequestRefused: the thread has no such run, or none to tell of (NOT_FOUND).
            JournalError: the journal cannot be asked.
        """
        entries = await self._journal.run_entries(wanted.run_id)
        if not entries or entries[0].stream != thread_stream(wanted.thread_id):
            raise no_such_run()
        if not is_inside and entries[0].data.get("branch_id") is not None:
            raise no_such_run()
        run = await self._journal.run(wanted.run_id) if is_inside else None
        asked_with = None if run is None else _asked_with(run)
        room = FRAME_ROOM - (0 if asked_with is None else size_of(asked_with))
        page = await self._page(wanted.run_id, entries, wanted.after_seq, room)
        data = RunExplanationData(run_id=wanted.run_id, asked_with=asked_with, **page)
        return RunExplanationFrame(data=data)

    async def value(self, wanted: ExplainValueData, *, is_inside: bool) -> ValueExplanationFrame:
        """The transitions of a message, invitation, link, removal, branch or run alone, likewise.

        Args:
            is_inside: Whether who asks is a co-author, to whom alone branches and their runs are told.

        Raises:
            RequestRefused: the thread has no such value, or none to tell of (NOT_FOUND).
            JournalError: the journal cannot be asked.
        """
        id_ = wanted.value_id
        async with self._turn:
            entries = await self._journal.value_entries(wanted.thread_id, id_)
        if not entries or (not is_inside and _is_of_a_branch(entries[0], id_)):
            raise no_such_value()
        alone = tuple(_alone(each, id_) for each in entries)
        page = await self._page(id_, alone, wanted.after_seq)
        return ValueExplanationFrame(data=ValueExplanationData(value_id=id_, **page))

    async def _page(
        self, id_: str, entries: tuple[JournalEntry, ...], after_seq: int, room: int = FRAME_ROOM
    ) -> dict[str, Any]:
        await self._learn(entries)
        # It is executed again, transition by transition.
        found = await asyncio.to_thread(explain, id_, entries, self._declared)
        return _page(found, after_seq, entries[0], room)

    async def _learn(self, entries: tuple[JournalEntry, ...]) -> None:
        """Have the declarations that the entries name, as far as they are known."""
        self._declared = self._declared or dict(known_declarations())
        named = {name for entry in entries for name in entry.fingerprint.split()}
        for fingerprint in named - self._declared.keys():
            text = await self._journal.noted(f"{DECLARATION}{fingerprint}")
            if text is None:
                continue
            try:
                self._declared[fingerprint] = read_declaration(text)
            except UnreadableDeclaration:
                continue  # told as not known; `verify` says what is wrong with it


def _is_of_a_branch(first: JournalEntry, id_: str) -> bool:
    """Whether the first entry of a value says that it is a branch, or the run of one."""
    is_branch = any(each.kind == "branch" and each.id == id_ for each in first.changes)
    return is_branch or first.data.get("branch_id") is not None


def _alone(entry: JournalEntry, id_: str) -> JournalEntry:
    """An entry without what it tells of other values: not all who may know of one may know of these."""
    moved = [
        (fired, taken)
        for fired, taken in zip(entry.fired, entry.transitions, strict=True)
        if taken.instance == id_
    ]
    return entry.changed(
        fired=tuple(fired for fired, _ in moved), transitions=tuple(taken for _, taken in moved)
    )


def _page(found: Explanation, after_seq: int, first: JournalEntry, room: int) -> dict[str, Any]:
    """What one frame holds, and one entry at least; transitions of one entry stay together."""
    born = found.born or first
    rest = [each for each in found.transitions if each.seq > after_seq]
    meanings = dict(found.meanings)
    room -= sum(len(name) + 4 * len(text) for name, text in meanings.items())
    count = fitting(map(size_of, rest), room)
    while 0 < count < len(rest) and rest[count].seq == rest[count - 1].seq:
        count -= 1
    # At least one entry a page, or whoever asks for the next one never comes to the end.
    count = max(count, sum(each.seq == rest[0].seq for each in rest))
    return {
        "created_seq": born.seq,
        "created_at": born.at,
        "transitions": tuple(rest[:count]),
        "meanings": meanings,
        "has_more": count < len(rest),
    }


def _asked_with(run: ChorusState) -> AskedWith | None:
    """None of a run that waits: it takes up what its thread has when it starts."""
    if run.status is RunStatus.QUEUED:
        return None
    return AskedWith(prompt=run.prompt, instructions=run.instructions, model=run.chosen_model)
