"""The database's clock, known between readings."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from storage.journal.store_clock import DRIFT, StoreClock

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Seconds:
    """Of a process; they pass when the test says so."""

    passed = 1_000.0

    def __call__(self) -> float:
        return self.passed


def read(clock: StoreClock, seconds: Seconds, shown: datetime, round_trip: float) -> None:
    """A reading whose answer comes now, and was made at half the way."""
    answered = seconds()
    clock.read(
        shown - timedelta(seconds=round_trip / 2), asked=answered - round_trip, answered=answered
    )


def test_before_the_first_reading_it_shows_nothing() -> None:
    assert StoreClock().now() is None


def test_between_readings_it_goes_on_by_the_seconds_of_the_process() -> None:
    seconds = Seconds()
    clock = StoreClock(seconds)
    read(clock, seconds, NOON, 0.002)
    assert clock.now() == NOON
    seconds.passed += 90
    assert clock.now() == NOON + timedelta(seconds=90)


def test_a_slow_answer_does_not_replace_a_quick_one_until_that_is_old() -> None:
    seconds = Seconds()
    clock = StoreClock(seconds)
    read(clock, seconds, NOON, 0.002)
    late = timedelta(seconds=0.4)
    read(clock, seconds, NOON + late, 1.0)
    assert clock.now() == NOON
    seconds.passed += 1 / DRIFT
    grown = NOON + timedelta(seconds=1 / DRIFT)
    read(clock, seconds, grown + late, 1.0)
    assert clock.now() == grown + late


def test_a_clock_that_stepped_is_followed_at_once() -> None:
    seconds = Seconds()
    clock = StoreClock(seconds)
    read(clock, seconds, NOON, 0.002)
    for shown in (NOON + HOUR, NOON - HOUR):
        read(clock, seconds, shown, 0.5)
        assert clock.now() == shown


@given(
    readings=st.lists(
        st.tuples(st.floats(0.01, 60), st.floats(0, 5), st.floats(0, 1)), min_size=1, max_size=20
    ),
    drift=st.floats(-DRIFT, DRIFT),
)
def test_it_errs_by_half_a_round_trip_and_the_drift_at_most(
    readings: list[tuple[float, float, float]], drift: float
) -> None:
    """Whatever the round trips are, and wherever between question and answer the clock was read."""
    seconds = Seconds()
    clock = StoreClock(seconds)

    def true(at: float) -> datetime:
        return NOON + timedelta(seconds=(at - 1_000) * (1 + drift))

    bound = float("inf")
    """Of the best reading so far, grown by what the clocks may have drifted since."""
    for pause, round_trip, share in readings:
        seconds.passed += pause + round_trip
        asked = seconds() - round_trip
        clock.read(true(asked + share * round_trip), asked=asked, answered=seconds())
        known = clock.now()
        assert known is not None
        grown = bound + (pause + round_trip) * DRIFT
        bound = min(grown, round_trip / 2 * (1 + DRIFT))
        error = abs(known - true(seconds())).total_seconds()
        assert error <= bound + round_trip * DRIFT + 1e-5
