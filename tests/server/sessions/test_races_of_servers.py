"""Requests that arrive at two servers at the same moment: each is carried out once, each vote counts
once, and both servers give one answer."""

import random
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from machines.models.ids import ThreadId, thread_stream
from tests.support.postgres import Cluster
from tests.support.server_races import (
    SAME,
    Company,
    finished_run,
    resumes_at_once,
    same_request_at_once,
    votes_at_once,
    votes_on_a_branch_at_once,
)
from tests.support.several_servers import several_servers

pytestmark = pytest.mark.asyncio(loop_scope="module")

SEED = 31
ROUNDS = 50
ROUNDS_OF_EACH = 5
ROUNDS_OF_A_BRANCH = 10


@pytest.fixture(scope="module")
def url(postgres: Cluster) -> str:
    """Of a migrated, empty database."""
    return postgres.database(migrated=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def company(url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Company]:
    async with several_servers(2, tmp_path_factory.mktemp("servers"), url) as servers:
        yield await Company.gathered(servers)


async def test_two_votes_at_two_servers_at_once_are_both_counted_once(company: Company) -> None:
    dice = random.Random(SEED)
    kinds = Counter([tuple(sorted(await votes_at_once(dice, company))) for _ in range(ROUNDS)])
    assert len(kinds) == 3, "every two votes were tried"
    told = Counter(
        each.kind for each in await company.entries(thread_stream(ThreadId(company.thread_id)))
    )
    assert told["message_rejected"] + told["message_withdrawn"] == ROUNDS


async def test_two_votes_on_a_branch_at_two_servers_at_once_are_both_counted_once(
    company: Company,
) -> None:
    dice = random.Random(SEED)
    run_id = await finished_run(company)
    kinds = Counter(
        [
            tuple(sorted(await votes_on_a_branch_at_once(dice, company, run_id)))
            for _ in range(ROUNDS_OF_A_BRANCH)
        ]
    )
    assert len(kinds) == 3, "every two votes were tried"
    told = Counter(
        each.kind for each in await company.entries(thread_stream(ThreadId(company.thread_id)))
    )
    assert told["branch_adopted"] == kinds["approve", "approve"]
    assert told["branch_rejected"] == ROUNDS_OF_A_BRANCH - told["branch_adopted"]


async def test_a_request_that_reaches_two_servers_at_once_is_carried_out_once(
    company: Company,
) -> None:
    dice = random.Random(SEED)
    for _ in range(ROUNDS_OF_EACH):
        for type_ in SAME:
            await same_request_at_once(dice, company, type_)
    assert await company.servers[0].journal.verify() == ()


async def test_of_resumes_at_several_servers_at_once_one_has_the_session(company: Company) -> None:
    for _ in range(ROUNDS_OF_EACH):
        await resumes_at_once(company)
