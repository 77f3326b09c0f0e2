"""What one person and one address may ask for by the minute, besides the frames of a connection.

Keys cost nothing to make, so what is bounded for a person is bounded for an address as well, wider:
many people may share one. What changes something, and searches, follow from one setting,
`CHORUS_PROMPTS_PER_MINUTE`, which says how much a person is expected to do; reads from
`CHORUS_READ_KIB_PER_SECOND`: what they send, and what each costs before it sends any. What a read
sends is known when it was sent, so that who reads too much may be in debt. Prompts are counted where
they are carried out, since one that is sent again costs nothing. Servers that share a journal count
prompts together, and all else each for itself.
"""

from collections.abc import Callable
from typing import Final

from machines.models.errors import ErrorCode, RequestRefused
from machines.models.ids import PublicKey
from machines.models.wire import membership_requests, requests
from machines.models.wire.request_base import MutatingRequest
from machines.models.wire.requests import ClientMessage
from server.concurrency.rate_limit import RateLimiter
from server.sessions.shared_rate import SharedRate
from storage.journal.port import Journal

PROMPTS_OF_AN_ADDRESS: Final = 10
CHANGES: Final = 30
"""Requests that write to the journal; a person at work makes one every few seconds."""
CHANGES_OF_AN_ADDRESS: Final = 300
SEARCHES: Final = 6
"""Each embeds its query and scans the memory."""
SEARCHES_OF_AN_ADDRESS: Final = 60
LINKS: Final = 1
"""Invite links that one looks at or uses, right or wrong: nobody guesses 192 bits, and nobody tries."""
LINKS_OF_AN_ADDRESS: Final = 10
"""All of these are times the prompts per minute."""

READS_OF_AN_ADDRESS: Final = 10
"""Times those of a person."""
READ_CHARACTERS: Final = 16_384
"""What a read costs before it sends anything: rights, rows and pages are read."""
READ_SECONDS: Final = 8
"""So long a pause lets what was not read meanwhile be read at once."""

_KIB: Final = 1_024


class Allowances:
    """Counts requests.

    Args:
        prompts_per_minute: of one person; 0 is no limit on what is not a read.
        read_kib_per_second: of one person; 0 is no limit on reads.
        journal: where servers share it, prompts are counted there.
        clock: seconds that never step back.
    """

    def __init__(
        self,
        prompts_per_minute: int,
        read_kib_per_second: int,
        journal: Journal,
        clock: Callable[[], float],
    ) -> None:
        def limiter(times: int) -> RateLimiter[str]:
            count = prompts_per_minute * times
            return RateLimiter(count / 60, max(count, 1), clock)

        self._prompts = SharedRate("prompts of a key", prompts_per_minute, journal, clock)
        self._prompts_of_an_address = SharedRate(
            "prompts of an address", prompts_per_minute * PROMPTS_OF_AN_ADDRESS, journal, clock
        )
        self._changes = limiter(CHANGES)
        self._changes_of_an_address = limiter(CHANGES_OF_AN_ADDRESS)
        self._searches = limiter(SEARCHES)
        self._searches_of_an_address = limiter(SEARCHES_OF_AN_ADDRESS)
        self._links = limiter(LINKS)
        self._links_of_an_address = limiter(LINKS_OF_AN_ADDRESS)

        def reads(times: int) -> RateLimiter[str]:
            rate = times * read_kib_per_second * _KIB
            return RateLimiter(rate, max(rate * READ_SECONDS, READ_CHARACTERS), clock)

        self._reads = reads(1)
        self._reads_of_an_address = reads(READS_OF_AN_ADDRESS)

    def try_take(self, message: ClientMessage, caller: PublicKey, address: str) -> int | None:
        """None where the request is allowed, or the milliseconds after which it will be; prompts are
        `try_take_prompt`'s to allow as well."""
        waits: list[int | None] = []
        if isinstance(message, requests.SearchRequest):
            waits.append(self._searches.try_take(caller))
            waits.append(self._searches_of_an_address.try_take(address))
        if isinstance(
            message,
            membership_requests.ViewInviteLinkRequest | membership_requests.AcceptInviteLinkRequest,
        ):
            waits.append(self._links.try_take(caller))
            waits.append(self._links_of_an_address.try_take(address))
        if is_read(message):
            waits.append(self._reads.try_take(caller, READ_CHARACTERS))
            waits.append(self._reads_of_an_address.try_take(address, READ_CHARACTERS))
        if isinstance(message, MutatingRequest):
            waits.append(self._changes.try_take(caller))
            waits.append(self._changes_of_an_address.try_take(address))
        return _longest(waits)

    async def try_take_prompt(self, caller: PublicKey, address: str) -> int | None:
        """None where a new run is allowed, or the milliseconds after which it will be; what is not
        allowed costs nothing.

        Raises JournalError.
        """
        wait = await self._prompts.take(caller)
        if wait is None:
            wait = await self._prompts_of_an_address.take(address)
            if wait is not None:
                await self._prompts.give_back(caller)
        return wait

    async def give_prompt_back(self, caller: PublicKey, address: str) -> None:
        """What `try_take_prompt` allowed began no run: it costs nothing. Raises JournalError."""
        await self._prompts.give_back(caller)
        await self._prompts_of_an_address.give_back(address)

    def charge_read(self, size: int, caller: PublicKey, address: str) -> None:
        """A read has sent so many characters."""
        self._reads.spend(caller, size)
        self._reads_of_an_address.spend(address, size)


def _longest(waits: list[int | None]) -> int | None:
    return max((wait for wait in waits if wait is not None), default=None)


def is_read(message: ClientMessage) -> bool:
    """Whether a request asks for pages of what is stored."""
    return isinstance(
        message,
        requests.GetThreadRequest
        | requests.GetEventsRequest
        | requests.GetPastRequest
        | requests.ExplainRunRequest
        | requests.ExplainValueRequest
        | requests.GetHeatRequest
        | requests.ListThreadsRequest
        | requests.GetInboxRequest
        | requests.ListPeopleRequest
        | requests.CompareRunsRequest
        | requests.SearchRequest,
    )


def too_many(message: str, retry_after_ms: int) -> RequestRefused:
    """What is raised where a limit is met."""
    return RequestRefused(
        ErrorCode.RATE_LIMITED, message, retry_after_ms=retry_after_ms, retryable=True
    )
