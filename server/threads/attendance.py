"""Who looks at a thread at other servers, and who does here, told to them."""

from collections.abc import Collection

from machines.models.ids import ThreadId
from server.passing.interests import Interests
from server.passing.messages import Attendance, Told
from server.threads.broadcast import Broadcast
from server.threads.presence import Company


class AttendanceTeller:
    """A `Teller` of who is present, and who types."""

    def __init__(self, interests: Interests, broadcast: Broadcast) -> None:
        self._interests = interests
        self._broadcast = broadcast
        broadcast.presence.report(self._changed)

    def tell_whole(self, thread_ids: Collection[ThreadId], to: str) -> None:
        """Send a server who is in these threads here."""
        for thread_id in thread_ids:
            company = self._broadcast.presence.here(thread_id)
            if any(company):
                self._tell(thread_id, company, (to,))

    def take(self, told: Told) -> None:
        """Another server tells who is there."""
        if isinstance(told, Attendance) and self._broadcast.has_followers(told.thread_id):
            company = Company(told.present, told.typing)
            self._broadcast.presence.elsewhere(told.thread_id, told.sender, company)

    def lose(self, thread_id: ThreadId, server: str) -> None:
        """Who was there is not known any more."""
        self._broadcast.presence.elsewhere(thread_id, server, Company())

    def _changed(self, thread_id: ThreadId, company: Company) -> None:
        if to := self._interests.asking(thread_id):
            self._tell(thread_id, company, to)

    def _tell(self, thread_id: ThreadId, company: Company, to: Collection[str]) -> None:
        self._interests.tell(
            Attendance(
                sender=self._interests.name,
                thread_id=thread_id,
                present=company.present,
                typing=company.typing,
            ),
            to,
        )
