"""A rate that is counted where servers share it: by the journal, which is not asked in vain."""

from server.sessions.shared_rate import SharedRate


class Tokens:
    """A journal that gives so many tokens, and then says when there is one again."""

    def __init__(self, tokens: int, *, shared: bool = True) -> None:
        self.shared = shared
        self.left = tokens
        self.wait = 0
        self.asked: list[str] = []

    async def take_token(self, name: str, *, rate: float, burst: float) -> int | None:
        assert (rate, burst) == (2.0, 120)
        self.asked.append(name)
        self.left -= 1
        return None if self.left >= 0 else self.wait

    async def return_token(self, name: str, *, rate: float) -> None:
        assert rate == 2.0
        assert name in self.asked
        self.left += 1


async def test_tokens_are_the_journals_where_servers_share_it() -> None:
    journal = Tokens(2)
    rate = SharedRate("prompts", 120, journal, lambda: 0.0)
    assert not rate.is_counted_here
    assert await rate.take("ann") is None
    assert await rate.take("ben") is None
    ann, ben = journal.asked
    assert ann != ben
    assert "ann" not in ann, "the name of a key is not told"


async def test_a_refusal_holds_until_its_time_without_asking_again() -> None:
    seconds = 0.0
    journal = Tokens(0)
    journal.wait = 500
    rate = SharedRate("prompts", 120, journal, lambda: seconds)
    assert await rate.take("ann") == 500
    seconds = 0.2
    assert await rate.take("ann") == 300
    assert len(journal.asked) == 1
    assert await rate.take("ben") == 500, "it is of one key alone"
    seconds, journal.left = 0.5, 1
    assert await rate.take("ann") is None
    assert len(journal.asked) == 3


async def test_a_token_that_is_returned_ends_a_refusal() -> None:
    journal = Tokens(1)
    journal.wait = 500
    rate = SharedRate("prompts", 120, journal, lambda: 0.0)
    assert await rate.take("ann") is None
    assert await rate.take("ann") == 500
    journal.left = 0
    await rate.give_back("ann")
    assert await rate.take("ann") is None


async def test_a_journal_of_one_process_and_no_limit_are_never_asked() -> None:
    journal = Tokens(0, shared=False)
    own = SharedRate("prompts", 1, journal, lambda: 0.0)
    assert own.is_counted_here
    assert await own.take("ann") is None
    assert await own.take("ann") == 60_000
    await own.give_back("ann")
    assert await own.take("ann") is None
    unlimited = SharedRate("prompts", 0, Tokens(0), lambda: 0.0)
    assert unlimited.is_counted_here
    assert [await unlimited.take("ann") for _ in range(3)] == [None] * 3
    assert journal.asked == []
