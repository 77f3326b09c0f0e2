"""The names of a store: which it has, which it had, and which it had first."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, create_engine

from storage.journal import epochs
from storage.journal.schema import METADATA


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.begin() as opened:
        METADATA.create_all(opened)
        yield opened
    engine.dispose()


def test_a_superseded_name_is_kept_and_the_first_of_them_is_the_origin(
    connection: Connection,
) -> None:
    epochs.set_epoch(connection, "one")
    epochs.supersede(connection, "one", "two")
    epochs.supersede(connection, "two", "three")
    assert epochs.epoch(connection) == "three"
    assert epochs.former_epochs(connection) == ("one", "two")
    assert epochs.origin(connection) == "one"


def test_a_name_that_the_store_lost_with_its_commits_counts_as_superseded(
    connection: Connection,
) -> None:
    epochs.set_epoch(connection, "one")
    epochs.supersede(connection, "two", "three")
    assert epochs.former_epochs(connection) == ("one", "two")


def test_a_store_that_a_command_names_has_no_past(connection: Connection) -> None:
    epochs.set_epoch(connection, "one")
    epochs.supersede(connection, "one", "two")
    epochs.set_epoch(connection, "three")
    assert epochs.former_epochs(connection) == ()
    assert epochs.origin(connection) == "three"


def test_the_first_name_and_the_newest_are_kept(connection: Connection) -> None:
    epochs.set_epoch(connection, "0")
    for number in range(1, 2 * epochs.MOST_FORMER):
        epochs.supersede(connection, str(number - 1), str(number))
    former = epochs.former_epochs(connection)
    assert len(former) == epochs.MOST_FORMER
    assert former[0] == epochs.origin(connection) == "0"
    assert former[-1] == str(2 * epochs.MOST_FORMER - 2)
