"""`chorus credit` and `chorus debit`: change a thread's token balance, with the cause on record."""

from machines.models.commands import ChangeBalance, Policy
from machines.models.ids import ThreadId
from server.commands.journal_file import require_journal
from server.environment import Environment
from server.settings import Settings
from server.stores import by_clock_of, journal_of, keep_declarations
from server.threads.broadcast import Broadcast
from server.threads.service import ThreadService
from server.wire.renderer import Renderer


async def change_balance(
    settings: Settings, environment: Environment, thread_id: ThreadId, amount: int, cause: str
) -> int:
    """Credit (above zero) or debit (below zero) tokens; gives the balance that results.

    Only the journal is opened: no model is needed, and no run goes on meanwhile.

    Raises:
        RequestRefused: there is no such thread.
        InvalidTransition: the thread refuses it, as where too little would be left.
        JournalError: the journal cannot be opened, or nothing was changed.
    """
    require_journal(settings)
    journal = journal_of(settings)
    await journal.open()
    environment = by_clock_of(journal, environment)
    try:
        await keep_declarations(journal)
        thread_service = ThreadService(
            journal, Broadcast(), Policy(), environment.new_id, Renderer()
        )
        await thread_service.perform(
            thread_id,
            lambda ids: ChangeBalance(
                thread_id=thread_id,
                at=environment.now(),
                by=None,
                ids=ids,
                amount=amount,
                cause=cause,
            ),
        )
        view = await thread_service.view(thread_id)
        assert view is not None  # noqa: S101 - a thread whose balance changed is there
        return view.thread.token_balance
    finally:
        await journal.close()
