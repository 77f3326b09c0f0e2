"""Runs that change hands: begun at one server, and looked at once another has brought them to their end."""

from collections import Counter

from tests.support.client import Client, Frame, Identity, seqs, signed_in
from tests.support.eventually import eventually
from tests.support.obedient_model import STEPS, Gate, ObedientModel
from tests.support.served import ServerProcess

MOST_SECONDS = 60.0
"""Until a run is over that another server takes up."""


async def begun(
    model: ObedientModel, at: ServerProcess, who: Identity, prompt: str
) -> tuple[str, str, Gate]:
    """A run of a new thread, held in its last step at a server: the ids of both, and what holds it."""
    held = model.hold(prompt, "yield", first="Lost ", rest="words")
    async with signed_in(at.url, who) as client:
        thread_id = await client.new_thread()
        run = await client.ask("submit_prompt", thread_id=thread_id, prompt=prompt)
        await client.response(run["run_id"], "delta", step="yield")
    return thread_id, str(run["run_id"]), held


async def ended(at: ServerProcess, who: Identity, thread_id: str, run_id: str) -> list[Frame]:
    """The entries of a thread once its run is finished, by a server: each step was completed once."""

    async def all_of(client: Client) -> list[Frame]:
        page = await client.ask("get_events", thread_id=thread_id, after_seq=0, limit=1000)
        assert seqs(page["entries"]) == list(range(1, page["head_seq"] + 1))
        entries: list[Frame] = page["entries"]
        return entries

    async with signed_in(at.url, who) as client:

        async def is_finished() -> bool:
            return any(each["data"].get("status") == "finished" for each in await all_of(client))

        await eventually(is_finished, "the run goes on to its end", within=MOST_SECONDS)
        entries = await all_of(client)
    completed = Counter(
        each["data"]["step"]
        for each in entries
        if each["data"].get("status") == "completed" and each["data"]["run_id"] == run_id
    )
    assert completed == dict.fromkeys(STEPS, 1), "each step is done once"
    return entries


def completed_steps_asked(model: ObedientModel, prompt: str) -> Counter[str]:
    """How often the model was asked for each step before the last of a prompt."""
    return Counter(each.step for each in model.reads(prompt) if each.step != "yield")
