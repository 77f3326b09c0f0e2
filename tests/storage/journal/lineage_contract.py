"""What every journal promises of forks: each keeps what its lineage made, and its entry names the runs."""

import pytest

from machines.decisions.replay import replay_run
from machines.models.chorus import ChorusState, Prefix
from machines.models.fork import Change, ChangeKind
from machines.models.ids import thread_stream
from machines.models.journal import JournalEntry
from machines.models.outputs import StepEnum
from storage.journal.port import Journal
from tests.support.lineage import THREAD, Lineage

PROMPT = "What lasts?"
ANOTHER_TEXT = Change(kind=ChangeKind.STEP_TEXT, text="They want less.")
ANOTHER_PROMPT = Change(kind=ChangeKind.PROMPT, text="And what ends?")
INSTRUCTIONS = Change(kind=ChangeKind.INSTRUCTIONS, text="In verse.")
MODEL = Change(kind=ChangeKind.MODEL, text="other")


async def descended(journal: Journal) -> list[ChorusState]:
    """A run of two loops, and forks of which each forks the one before."""
    lineage = await Lineage.opened(journal)
    runs = [await lineage.asked(PROMPT)]
    for step, at, change in (
        (StepEnum.INTENTION, 2, ANOTHER_TEXT),
        (StepEnum.OBSERVATION, 2, ANOTHER_PROMPT),
        (StepEnum.UPDATE, 2, INSTRUCTIONS),
        (StepEnum.INTENTION, 2, MODEL),
        (StepEnum.ACTION, 1, Change(kind=ChangeKind.INSTRUCTIONS, text="In prose.")),
    ):
        runs.append(await lineage.forked(runs[-1], step, change, at=at))
    return runs


def prefix_of(run: ChorusState) -> Prefix:
    assert run.prefix is not None
    return run.prefix


async def entries_of(journal: Journal, after_seq: int, limit: int) -> tuple[JournalEntry, ...]:
    page = await journal.entries(
        thread_stream(THREAD), after_seq=after_seq, limit=limit, max_bytes=10**8
    )
    return page.entries


class LineageContract:
    """Tests of forks of forks."""

    async def test_a_fork_of_forks_has_what_each_of_them_kept(self, journal: Journal) -> None:
        first, one, two, three, four, five = await descended(journal)

        assert one.steps[:7] == first.steps[:7]
        assert one.steps[7] == first.steps[7].changed(text=ANOTHER_TEXT.text, usage=None)
        assert two.steps[:9] == one.steps[:9]
        assert three.steps[:10] == two.steps[:10]
        assert four.steps[:8] == one.steps[:8], "of which the first generation changed the last"
        assert four.steps[8:] != three.steps[8:]
        assert five.steps[0] == first.steps[0]
        for fork, origin in zip((one, two, three, four), (first, one, two, three), strict=True):
            assert fork.priors == origin.priors != ()
            assert prefix_of(fork).messages == origin.messages
        assert prefix_of(five).priors == (), "it searches anew"
        assert five.priors != ()
        asked = [each.prompt for each in (first, one, two, three, four, five)]
        assert asked == [PROMPT] * 2 + [ANOTHER_PROMPT.text] * 4
        assert three.instructions == "In verse."
        assert [prefix_of(each).generation for each in (one, two, three, four, five)] == [
            1,
            2,
            3,
            4,
            5,
        ]
        assert [each.run_id for each in prefix_of(four).kept] == [first.id, one.id, three.id]
        assert await journal.verify() == ()
        for each in (first, one, two, three, four, five):
            assert replay_run(each.id, await journal.run_entries(each.id)) == each

        whole = await entries_of(journal, 0, 1_000)
        for entry in whole:
            assert await entries_of(journal, entry.seq - 1, 1) == (entry,), (
                "whichever page it is in"
            )
        half = len(whole) // 2
        assert await entries_of(journal, half, 1_000) == whole[half:]

    async def test_a_fork_that_holds_copies_is_read_and_forked(
        self, journal: Journal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lineage = await Lineage.opened(journal)
        first = await lineage.asked(PROMPT)
        with monkeypatch.context() as earlier:
            # What the first version that forked runs wrote.
            earlier.setattr("machines.decisions.forks._makers_of", lambda *_: ())
            earlier.setattr("machines.decisions.forks._asked_by", lambda _: None)
            one = await lineage.forked(first, StepEnum.ACTION, ANOTHER_PROMPT)
            two = await lineage.forked(one, StepEnum.INTENTION, ANOTHER_TEXT)
        assert prefix_of(two).kept == ()
        three = await lineage.forked(two, StepEnum.OBSERVATION, INSTRUCTIONS)
        four = await lineage.forked(three, StepEnum.UPDATE, MODEL)
        for fork, count in ((three, 4), (four, 5)):
            assert prefix_of(fork).kept[0].run_id == two.id
            assert fork.steps[:count] == (*two.steps[:4], *three.steps[4:])[:count]
            assert fork.prompt == ANOTHER_PROMPT.text
        assert await journal.verify() == ()
