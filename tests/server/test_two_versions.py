"""Two versions of the program side by side on one database, while an upgrade is under way."""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from storage.journal.migrations import Migrated
from storage.journal.postgres.address import PostgresAddress
from storage.journal.postgres.journal import migrate
from tests.support.client import Identity, signed_in
from tests.support.cluster import cluster_of
from tests.support.eventually import eventually
from tests.support.fake_qdrant import fake_qdrant
from tests.support.handed_over import begun, ended
from tests.support.next_release import ADDITIVE, PROGRAM, next_release
from tests.support.obedient_model import obedient_model
from tests.support.postgres import Cluster
from tests.support.run_rows import RunRows

LEASE_SECONDS = 60.0
"""Longer than a server is frozen here."""


@pytest.fixture
def url(postgres: Cluster) -> str:
    """Of a migrated, empty database."""
    return postgres.database(migrated=True)


async def test_an_upgrade_runs_two_versions_each_of_which_leads_its_own_runs(
    postgres: Cluster, url: str, tmp_path: Path
) -> None:
    rows = RunRows(postgres, url)
    ann, ben = Identity(), Identity()
    async with (
        obedient_model() as model,
        fake_qdrant() as qdrant,
        cluster_of(
            1,
            tmp_path,
            model.url,
            database_url=url,
            qdrant_url=qdrant.url,
            lease_seconds=LEASE_SECONDS,
        ) as cluster,
    ):
        (old,) = cluster.servers
        ann_thread, ann_run, ann_held = await begun(model, old, ann, "asked at the old version")
        assert await asyncio.to_thread(_migrated, url) is Migrated.OLDER
        new = await cluster.join(program=PROGRAM)
        ben_thread, ben_run, ben_held = await begun(model, new, ben, "asked at the new version")

        async with signed_in(new.url, ann) as at_new, signed_in(old.url, ben) as at_old:
            # A server that was frozen is not told at once who follows its threads elsewhere.
            at_new.hears_all = at_old.hears_all = False
            await at_new.follow(ann_thread)
            await at_old.follow(ben_thread)

            old.freeze()
            rows.release(ann_run)
            await rows.looked()
            assert rows.servers_of_runs()[ann_run] == "", "the version that leads it lives"
            old.revive()
            await eventually(partial(_is_carried, rows, ann_run), "its version takes it up again")
            ann_held.opened.set()
            # The client holds every frame against the numbers of the thread.
            await at_new.end_of(ann_run)
            ben_held.opened.set()
            await at_old.end_of(ben_run)

        assert await ended(new, ann, ann_thread, ann_run) == await ended(
            old, ann, ann_thread, ann_run
        )
        assert await ended(new, ben, ben_thread, ben_run) == await ended(
            old, ben, ben_thread, ben_run
        )
    (of_old,), (of_new,) = rows.charts_of(ann_run), rows.charts_of(ben_run)
    assert of_old != of_new


async def _is_carried(rows: RunRows, run_id: str) -> bool:
    rows.tell_to_look()
    return rows.servers_of_runs()[run_id] != ""


def _migrated(url: str) -> Migrated:
    with next_release(ADDITIVE):
        return migrate(PostgresAddress.parse(url), lambda: "named already")
