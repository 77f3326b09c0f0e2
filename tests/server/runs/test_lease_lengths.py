"""Servers of one database whose leases are of different lengths: the one that starts later says so."""

from functools import partial
from pathlib import Path

import pytest

from tests.support.fake_qdrant import fake_qdrant
from tests.support.in_process import open_test_services
from tests.support.postgres import Cluster


@pytest.fixture
def url(postgres: Cluster) -> str:
    """Of a migrated, empty database."""
    return postgres.database(migrated=True)


async def test_a_lease_of_another_length_is_told_at_the_start_and_one_of_the_same_is_not(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with fake_qdrant() as qdrant:
        server = partial(open_test_services, database_url=url, qdrant_url=qdrant.url)
        async with (
            server(tmp_path / "one", lease_seconds=60.0),
            server(tmp_path / "same", lease_seconds=60.0),
        ):
            assert "CHORUS_LEASE_SECONDS" not in caplog.text
            async with server(tmp_path / "other", lease_seconds=45.5):
                told = [each.getMessage() for each in caplog.records]
    (line,) = [each for each in told if "CHORUS_LEASE_SECONDS" in each]
    assert line.startswith("CHORUS_LEASE_SECONDS is 45.5 here and 60 at other servers")
