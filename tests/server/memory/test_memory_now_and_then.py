"""A Qdrant server of whose requests some fail: conversations go on, and the memory holds all in the end. The
long form is the campaign's (`tests.faults.memory`)."""

from pathlib import Path

from server.commands import verify
from server.environment import system_environment
from server.settings import Settings
from tests.faults.memory import NOW_AND_THEN
from tests.server.memory.test_memory_away import Author
from tests.standins.qdrant.faults import Does
from tests.support.eventually import eventually
from tests.support.fake_qdrant import fake_qdrant
from tests.support.in_process import open_test_services


async def test_a_memory_whose_server_fails_now_and_then_holds_all_in_the_end(
    tmp_path: Path,
) -> None:
    faults = [
        each.model_copy(update={"times": 1, "every": 2})
        for each in NOW_AND_THEN.values()
        if each.does is not Does.DRIP  # which lasts as long as a request may
    ]
    async with fake_qdrant() as qdrant:
        async with open_test_services(tmp_path, qdrant_url=qdrant.url) as services:
            author = await Author.arrive(services)
            qdrant.faults.set(*faults)
            await author.experience()

            async def holds_all() -> bool:
                return not await services.journal.queued_tasks(limit=1)

            await eventually(holds_all, "nothing waits for the memory")
            assert qdrant.failed == len(faults), "each fault was met"
        said: list[str] = []
        settings = Settings(data=tmp_path, llm="offline", qdrant_url=qdrant.url)
        code = await verify.run(
            settings, system_environment(), repair=False, restored=False, say=said.append
        )
        assert (code, said[-1]) == (0, "Everything agrees."), said
