"""What is a flood, counted by a clock that stands still until it is moved."""

from server.concurrency.rate_limit import TokenBucket
from server.sockets.flood_guard import MAX_BAD_FRAMES, MAX_FRAMES_OVER_RATE, FloodGuard

RATE = 8
BURST = 16


class Guarded:
    """A guard, its clock, and what it was told to close for."""

    def __init__(self, rate: int = RATE) -> None:
        self.now = 0.0
        self.reasons: list[str] = []
        bucket = TokenBucket(rate, BURST, lambda: self.now)
        self.guard = FloodGuard(bucket, self.reasons.append)

    def send(self, frames: int) -> None:
        """Frames of one moment."""
        for _ in range(frames):
            self.guard.charge()


def test_a_burst_passes_and_what_comes_beyond_it_waits() -> None:
    sender = Guarded()
    assert [sender.guard.charge() for _ in range(BURST)] == [None] * BURST
    assert sender.guard.charge() == 1000 / RATE
    sender.now += 1 / RATE
    assert sender.guard.charge() is None


def test_who_goes_on_too_fast_floods_however_it_waits_in_between() -> None:
    sender = Guarded()
    sender.send(BURST)
    for _ in range(MAX_FRAMES_OVER_RATE):
        sender.send(1)
        sender.now += 1 / RATE
        sender.send(1)
    assert not sender.reasons
    sender.send(1)
    assert sender.reasons == ["too many frames"]


def test_who_is_quiet_for_a_while_may_be_too_fast_again() -> None:
    sender = Guarded()
    for _ in range(5):
        sender.send(BURST + MAX_FRAMES_OVER_RATE)
        sender.now += BURST / RATE
    assert not sender.reasons


def test_bad_frames_flood_in_a_row_only() -> None:
    sender = Guarded()
    for _ in range(MAX_BAD_FRAMES - 1):
        sender.guard.saw_bad()
    sender.guard.saw_good()
    for _ in range(MAX_BAD_FRAMES - 1):
        sender.guard.saw_bad()
    assert not sender.reasons
    sender.guard.saw_bad()
    assert sender.reasons == ["too many bad frames"]


def test_without_a_rate_no_number_of_frames_floods() -> None:
    sender = Guarded(rate=0)
    sender.send(10 * MAX_FRAMES_OVER_RATE)
    assert not sender.reasons
