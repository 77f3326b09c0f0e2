"""What reaches several servers of one database at the same moment: votes, one request twice, resumes of
one session."""

import asyncio
from typing import Final

from tests.faults.campaign import Campaign, scenario
from tests.support.postgres import cluster
from tests.support.server_races import (
    SAME,
    Company,
    resumes_at_once,
    same_request_at_once,
    votes_at_once,
)
from tests.support.several_servers import several_servers

SERVERS: Final = 3
ROUNDS: Final = 1_000
"""Of two votes; of each other race a tenth."""
ROUNDS_IN_SHORT: Final = 50


@scenario("servers at once")
async def servers_at_once(campaign: Campaign) -> None:
    """Requests that arrive at different servers at the same moment."""
    rounds = ROUNDS_IN_SHORT if campaign.short else ROUNDS
    with cluster() as postgres:
        url = await asyncio.to_thread(postgres.database, migrated=True)
        async with several_servers(SERVERS, campaign.folder, url) as servers:
            company = await Company.gathered(servers)
            for _ in range(rounds):
                with campaign.fault("two votes at two servers at the same moment"):
                    await votes_at_once(campaign.random, company)
            for _ in range(rounds // 10):
                for type_ in SAME:
                    with campaign.fault("a request that reaches two servers at the same moment"):
                        await same_request_at_once(campaign.random, company, type_)
                with campaign.fault("a session that is resumed at all servers at the same moment"):
                    await resumes_at_once(company)
            assert await servers[0].journal.verify() == ()
