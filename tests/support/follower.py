"""A server before a model endpoint, and somebody who asks one prompt in it and follows the run.

The server is whole but for its sockets (`tests.support.in_process`), and small in its patience.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from server.environment import system_environment
from server.llm.policy import ModelPolicy
from server.services import Services, open_services
from server.settings import Settings
from tests.support.client import Data, Identity
from tests.support.in_process import UNLIMITED, Caller

MAX_ATTEMPTS: Final = 2

DELAYED: Final = "edge_chorus_attempt_delayed_stable_recovering"
"""Taken where the endpoint is spared, and the attempt was not made."""


@asynccontextmanager
async def services_with_model(
    url: str, folder: Path, model_policy: ModelPolicy, **settings: Any
) -> AsyncIterator[Services]:
    """The services on `folder`, with the model at `url`."""
    chosen = Settings(
        data=folder,
        llm=url,
        model="scripted-1",
        **{**UNLIMITED, "max_attempts": MAX_ATTEMPTS, **settings},
    )
    async with open_services(chosen, system_environment(), model_policy) as services:
        yield services


class Follower:
    """Somebody who asks one prompt in a new thread, and follows it."""

    def __init__(self, services: Services, prompt: str) -> None:
        self._caller = Caller(services)
        self._prompt = prompt
        self._thread_id = ""
        self.run_id = ""

    async def ask(self) -> "Follower":
        """Ask the prompt."""
        await self._caller.sign_in(Identity())
        created = await self._caller.get("create_thread", name="Faults", visibility="public")
        self._thread_id = created["thread_id"]
        await self._caller.get("get_thread", thread_id=self._thread_id)
        asked = await self._caller.get(
            "submit_prompt", thread_id=self._thread_id, prompt=self._prompt
        )
        self.run_id = asked["run_id"]
        return self

    async def end(self) -> Data:
        """The data of the frame that ends the run."""
        frame = await self._caller.line.until(
            lambda each: (
                each["type"] == "chorus_response"
                and each["data"]["status"] in {"finished", "failed", "cancelled"}
            ),
            f"the end of the run of {self._prompt!r}",
        )
        return dict(frame["data"])

    async def delayed(self) -> Data:
        """The data of the first entry of an attempt that was not made."""
        frame = await self._caller.line.until(
            lambda each: (
                each["type"] == "chorus_response"
                and each["data"]["status"] == "recovering"
                and edges_of(each["data"]) == [DELAYED]
            ),
            f"a delay of {self._prompt!r}",
        )
        return dict(frame["data"])

    async def come_again(self, services: Services) -> "Follower":
        """Follow the same thread in another server."""
        again = Follower(services, self._prompt)
        await again._caller.sign_in(Identity())
        again._thread_id, again.run_id = self._thread_id, self.run_id
        await again._caller.get("get_thread", thread_id=self._thread_id, after_seq=0)
        return again

    def entries(self, status: str) -> list[Data]:
        """What followers were sent of the run's entries with this status."""
        return [
            each["data"]
            for each in self._caller.live(self._thread_id)
            if each["type"] == "chorus_response" and each["data"]["status"] == status
        ]

    def read(self) -> str:
        """All passing text that followers were sent."""
        return "".join(
            each["data"]["text"]
            for each in self._caller.line.frames
            if each["type"] == "chorus_response" and each["data"]["status"] == "delta"
        )

    async def kept(self, status: str) -> list[Data]:
        """The journal's entries of that status."""
        events = await self._caller.get("get_events", thread_id=self._thread_id, after_seq=0)
        return [
            each["data"]
            for each in events["entries"]
            if each["type"] == "chorus_response" and each["data"]["status"] == status
        ]

    async def messages(self) -> list[Data]:
        """The thread's messages now."""
        thread = await self._caller.get("get_thread", thread_id=self._thread_id)
        return list(thread["messages"])


def edges_of(data: Data) -> list[str]:
    """The edges of the run's chart that an entry tells of."""
    return [each["edge"] for each in data["transitions"] if each["machine"] == "chorus"]
