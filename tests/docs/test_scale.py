"""The figures of docs/scale.md are those that the arithmetic gives."""

import re

import pytest

from benchmarks.scale import USERS, Costs, Use, plan, runs_of_a_database, runs_of_a_server
from tests.docs.markdown import document

TEXT = document("docs/scale.md").text


@pytest.mark.parametrize("users", USERS)
def test_the_table_says_what_so_many_users_need(users: int) -> None:
    row = re.search(rf"^\| {users:,} \|(.*)\|$", TEXT, re.MULTILINE)
    assert row, f"there is no row for {users:,} users"
    told = [float(re.sub(r"[^0-9.]", "", cell)) for cell in row[1].split("|")]
    needed = plan(users, Costs(), Use())
    assert told == [
        pytest.approx(value, rel=0.08, abs=0.06)
        for value in (
            needed.runs_a_second,
            needed.at_once,
            needed.servers,
            needed.database_cores,
            needed.commits_a_second,
            needed.stored_gib,
            needed.logged_gib,
            needed.databases,
        )
    ]


def test_what_one_server_and_one_database_carry_is_what_it_says() -> None:
    assert f"it carries {runs_of_a_server(Costs(), Use()):.1f} runs a second" in TEXT
    assert f"carries {runs_of_a_database(Costs(), Use()):.0f} runs a second" in TEXT
