"""Servers reach each other through Redis: each listens on a channel of its own, and on one of all.

Redis keeps nothing of it. While it is away what is sent is dropped, and the server goes on.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError, RedisError

log = logging.getLogger(__name__)

MAX_WAITING: Final = 10_000
"""Texts that wait to be sent; what comes beyond them is dropped."""

MAX_SENT_TOGETHER: Final = 500

LONGEST_PAUSE_SECONDS: Final = 2.0
"""Between two tries to connect."""

_REFUSALS: Final = (AuthenticationError, AuthorizationError, NoPermissionError)


class RedisRefused(Exception):
    """Redis does not let this server in; the message is one line for an operator."""


class RedisPassing:
    """A `Passing`. `check` first, then `run`."""

    most_bytes: Final = 262_144
    gather_seconds: Final = 0.0

    def __init__(self, url: str, *, space: str, name: str) -> None:
        """Nothing is connected to yet.

        Args:
            url: `redis://`, `rediss://` or `unix://`, as the client takes it.
            space: Names what the servers have in common; others on the same Redis hear nothing of it.
            name: By which others reach this server.

        Raises:
            ValueError: it is no such URL.
        """
        self.name = name
        self._url = url
        self._space = space
        self._waiting: deque[tuple[str, str]] = deque()
        self._has_some = asyncio.Event()
        self._is_connected = False
        _client(url)

    async def check(self) -> None:
        """See whether Redis lets this server in. One that is away may come later: that is logged.

        Raises:
            RedisRefused: it does not.
        """
        try:
            async with _client(self._url) as client:
                await client.ping()
                await client.publish(self._channel(self.name), "")
        except _REFUSALS:
            raise RedisRefused("Redis refuses this user or password") from None
        except (RedisError, OSError) as error:
            log.warning("Redis is away: %s", type(error).__name__)

    def send(self, text: str, to: str | None = None) -> None:
        if self._is_connected and len(self._waiting) < MAX_WAITING:
            self._waiting.append((self._channel(to), f"{self.name}\n{text}"))
            self._has_some.set()

    def connect_anew(self) -> None:
        """Redis has nothing to do with the database."""

    async def run(self, take: Callable[[str], None], on_connected: Callable[[], None]) -> None:
        pause = 0.0
        while True:
            try:
                async with _client(self._url) as client:
                    await self._serve(client, take, on_connected)
            except* (RedisError, OSError) as errors:
                was_connected, self._is_connected = self._is_connected, False
                if was_connected or not pause:
                    log.warning("Redis is away: %s", type(errors.exceptions[0]).__name__)
                pause = 0.1 if was_connected else min(2 * pause or 0.1, LONGEST_PAUSE_SECONDS)
            self._waiting.clear()
            await asyncio.sleep(pause)

    async def _serve(
        self, client: Redis, take: Callable[[str], None], on_connected: Callable[[], None]
    ) -> None:
        async with client.pubsub(ignore_subscribe_messages=True) as channels:
            await channels.subscribe(self._channel(None), self._channel(self.name))
            self._is_connected = True
            on_connected()
            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(self._send_all(client))
                async for message in channels.listen():
                    sender, _, text = message["data"].partition("\n")
                    if sender != self.name and text:
                        take(text)
                sending.cancel()

    async def _send_all(self, client: Redis) -> None:
        while True:
            await self._has_some.wait()
            self._has_some.clear()
            while self._waiting:
                together = client.pipeline(transaction=False)
                for _ in range(min(len(self._waiting), MAX_SENT_TOGETHER)):
                    channel, text = self._waiting.popleft()
                    together.publish(channel, text)
                await together.execute()

    def _channel(self, to: str | None) -> str:
        return f"chorus:{self._space}" if to is None else f"chorus:{self._space}:{to}"


def _client(url: str) -> Redis:
    """A client that reports each failure: one that connects again by itself, and says nothing, would
    hide that texts were lost."""
    return Redis.from_url(
        url, decode_responses=True, health_check_interval=15, retry=Retry(NoBackoff(), 0)
    )
