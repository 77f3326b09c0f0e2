"""A journal with a row in every table, and what two stores are compared by."""

from pathlib import Path

from sqlalchemy import Connection, select

from machines.models.branch import Branch, BranchStatus
from machines.models.fork import Change, ChangeKind, ForkPoint
from machines.models.ids import BranchId, InviteLinkId, RemovalId, RunId, TimerId, thread_stream
from machines.models.invite_link import InviteLink, InviteLinkStatus
from machines.models.journal import ApprovalTimer, IndexMessage, TimerRow
from machines.models.outputs import StepEnum
from machines.models.removal import Removal, RemovalStatus
from storage.copying.tables import COPIED
from storage.journal.answers import StoredVector
from storage.journal.port import Journal
from storage.journal.sqlite import JOURNAL_FILE, SqliteJournal
from tests.storage.journal.furnished import furnish
from tests.support.journal_values import (
    ANN,
    BEN,
    CAY,
    NOW,
    at,
    batch,
    entry,
    invitation,
    message,
    reply,
    session,
    thread,
    uuid,
)
from tests.support.lineage import Lineage

ONE = thread("one", ANN, BEN)
AWKWARD = "tab\t, backslash \\, \\N, quote ', line\n\r, \\u0000 and é漢😀"
"""What a text form of rows may stumble over."""


async def fill(journal: Journal) -> None:
    """Write something into every table, and a fork that names what it keeps."""
    await furnish(journal)
    lineage = await Lineage.opened(journal)
    asked = await lineage.asked(AWKWARD)
    await lineage.forked(asked, StepEnum.UPDATE, Change(kind=ChangeKind.PROMPT, text="And then?"))
    head = await journal.head(thread_stream(ONE.id))
    link = InviteLink(
        id=InviteLinkId(uuid("link")),
        created_at=NOW,
        updated_at=NOW,
        thread_id=ONE.id,
        made_by=ANN,
        secret_hash="5ec",
        status=InviteLinkStatus.OPEN,
        expires_at=at(60),
    )
    removal = Removal(
        id=RemovalId(uuid("removal")),
        created_at=NOW,
        updated_at=NOW,
        thread_id=ONE.id,
        public_key=BEN,
        proposed_by=ANN,
        status=RemovalStatus.PROPOSED,
        electors=(ANN,),
        expires_at=at(60),
    )
    branch = Branch(
        id=BranchId(uuid("branch")),
        created_at=NOW,
        updated_at=NOW,
        thread_id=ONE.id,
        message_id=message(ONE, 0).id,
        run_id=RunId(uuid("forked")),
        origin=ForkPoint(run_id=RunId(uuid("origin")), step=StepEnum.ACTION, iteration=1),
        change=ChangeKind.PROMPT,
        made_by=ANN,
        status=BranchStatus.READY,
        expires_at=at(60),
    )
    said = message(ONE, 4, content=AWKWARD)
    timer = TimerRow(
        id=TimerId(f"approval:{said.id}"),
        due_at=at(60),
        timer=ApprovalTimer(thread_id=ONE.id, message_id=said.id),
    )
    stream = thread_stream(ONE.id)
    grown = ONE.model_copy(update={"message_count": 5, "version": 3})
    await journal.commit(
        batch(
            head,
            entry(stream, grown, said),
            entry(stream, invitation(ONE, CAY)),
            entry(stream, link),
            entry(stream, removal),
            entry(stream, branch),
            memory=(IndexMessage(thread_id=ONE.id, message_id=said.id),),
            timers=(timer,),
            reply=reply("r1", ONE),
        )
    )
    first, *_ = await journal.queued_tasks(limit=9)
    await journal.finish_tasks([first.position])
    await journal.keep_vectors([StoredVector(said.id, "e1", (0.5, -1.25, 3.0))])
    await journal.touch_session(session().id, ONE.id)
    await journal.note("kept", AWKWARD)


async def filled_folder(folder: Path) -> Path:
    """A data folder with such a journal."""
    journal = SqliteJournal(folder / JOURNAL_FILE)
    await journal.open()
    await fill(journal)
    await journal.close()
    return folder


def rows_of(connection: Connection) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table that is copied."""
    return {
        table.name: [
            tuple(row)
            for row in connection.execute(select(table).order_by(*table.primary_key.columns))
        ]
        for table in COPIED
    }
