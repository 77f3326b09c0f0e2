"""Dates of dialogues, in the forms that sets have."""

from datetime import UTC, datetime

import pytest

from benchmarks.recall_sets import Turn


@pytest.mark.parametrize(
    "date", ["8 May 2023", "1:56 pm on 8 May, 2023", "2023-05-08"], ids=["day", "moment", "ISO"]
)
def test_a_date_names_a_day(date: str) -> None:
    turn = Turn(id="1", session="s", date=date, speaker="Ines", text="Hello.")
    assert turn.day == datetime(2023, 5, 8, tzinfo=UTC)


def test_a_date_that_names_no_day_is_refused() -> None:
    with pytest.raises(ValueError, match="isoformat"):
        _ = Turn(id="1", session="s", date="last week", speaker="Ines", text="Hello.").day
