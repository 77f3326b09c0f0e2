"""`explain_run`: why a run did what it did, by its entries and the declarations that wrote them."""

import asyncio

from machines.charts import known_declarations
from machines.decisions.explanation import Explanation, explain
from machines.decisions.rights import no_such_run
from machines.declarations import Declaration, UnreadableDeclaration, read_declaration
from machines.models.chorus import ChorusState, RunStatus
from machines.models.ids import thread_stream
from machines.models.journal import JournalEntry
from machines.models.wire.explained import AskedWith, RunExplanationData
from machines.models.wire.frames import RunExplanationFrame
from machines.models.wire.request_data import ExplainRunData
from server.sessions.pages import FRAME_ROOM
from server.wire.bounds import fitting, size_of
from storage.journal.history import DECLARATION
from storage.journal.port import Journal


class Explanations:
    """Explains runs; keeps the declarations of charts that it met."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._declared: dict[str, Declaration] = {}

    async def explained(self, wanted: ExplainRunData, *, is_inside: bool) -> RunExplanationFrame:
        """The transitions of a run behind `after_seq`, as many as one frame holds.

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
        await self._learn(entries)
        # It is executed again, transition by transition.
        found = await asyncio.to_thread(explain, wanted.run_id, entries, self._declared)
        run = await self._journal.run(wanted.run_id) if is_inside else None
        return RunExplanationFrame(data=_page(found, wanted, entries[0], run))

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


def _page(
    found: Explanation, wanted: ExplainRunData, first: JournalEntry, run: ChorusState | None
) -> RunExplanationData:
    """What one frame holds, and one entry at least; transitions of one entry stay together."""
    born = found.born or first
    rest = [each for each in found.transitions if each.seq > wanted.after_seq]
    meanings = dict(found.meanings)
    asked_with = None if run is None else _asked_with(run)
    room = FRAME_ROOM - sum(len(name) + 4 * len(text) for name, text in meanings.items())
    room -= 0 if asked_with is None else size_of(asked_with)
    count = fitting(map(size_of, rest), room)
    while 0 < count < len(rest) and rest[count].seq == rest[count - 1].seq:
        count -= 1
    # At least one entry a page, or whoever asks for the next one never comes to the end.
    count = max(count, sum(each.seq == rest[0].seq for each in rest))
    return RunExplanationData(
        run_id=wanted.run_id,
        created_seq=born.seq,
        created_at=born.at,
        transitions=tuple(rest[:count]),
        meanings=meanings,
        asked_with=asked_with,
        has_more=count < len(rest),
    )


def _asked_with(run: ChorusState) -> AskedWith | None:
    """None of a run that waits: it takes up what its thread has when it starts."""
    if run.status is RunStatus.QUEUED:
        return None
    return AskedWith(prompt=run.prompt, instructions=run.instructions, model=run.chosen_model)
