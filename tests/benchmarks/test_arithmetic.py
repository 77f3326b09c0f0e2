"""The arithmetic of the benchmarks: what a ratio is, when a target is reached. Nothing is timed here."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import report
from benchmarks.figures import (
    Condition,
    Contestant,
    Figure,
    Question,
    Target,
    outcome,
    spread,
    spread_of,
)
from benchmarks.questions import QUESTIONS
from benchmarks.rounds import Ask, ContestantFailed, run

FIGURES = st.floats(min_value=0.001, max_value=1e6)


def question(target: Target, *, better: str = "less") -> Question:
    return Question(
        name="q",
        title="Q",
        work="Works.",
        figures=(Figure("cpu", "CPU", "s", "less" if better == "less" else "more"),),
        contestants=tuple(Contestant(name, "none") for name in ("ours", "one", "two")),
        targets=(target,),
    )


@given(st.lists(st.tuples(FIGURES, FIGURES, FIGURES), min_size=1, max_size=9))
def test_a_ratio_is_taken_to_the_best_of_the_others_in_the_same_round(
    rounds: list[tuple[float, float, float]],
) -> None:
    target = Target("half", "cpu", "ours", ("one", "two"), at_most=0.5)
    told = [
        {"ours": {"cpu": ours}, "one": {"cpu": one}, "two": {"cpu": two}}
        for ours, one, two in rounds
    ]
    found = outcome(question(target), target, told)
    ratios = [ours / min(one, two) for ours, one, two in rounds]
    assert found.spread == spread(ratios)
    assert found.reached == (found.spread.middle <= 0.5)


def test_where_more_is_better_the_best_is_the_most() -> None:
    target = Target("most of it", "cpu", "ours", ("one", "two"), at_least=0.7)
    told = [{"ours": {"cpu": 7.0}, "one": {"cpu": 1.0}, "two": {"cpu": 10.0}}]
    found = outcome(question(target, better="more"), target, told)
    assert found.spread.middle == pytest.approx(0.7)
    assert found.reached


def test_a_target_without_others_is_a_plain_value() -> None:
    target = Target("under 0.3 s", "cpu", "ours", at_most=0.3)
    told = [{"ours": {"cpu": value}, "one": {}, "two": {}} for value in (0.1, 0.2, 0.9)]
    found = outcome(question(target), target, told)
    assert (found.spread.least, found.spread.middle, found.spread.most) == (0.1, 0.2, 0.9)
    assert found.reached
    assert spread_of(told, "one", "cpu") is None


GROWTH = Target("linear", "cpu", "ours", ("one",), above="two", at_most=1.5)
SIZED = replace(
    question(GROWTH),
    contestants=(
        Contestant("ours", "none", size=100),
        Contestant("one", "none", size=10),
        Contestant("two", "none"),
    ),
)


def test_growth_is_counted_for_each_above_who_works_on_nothing() -> None:
    """A fixed second hides nothing: ten times as many take three times as much each."""
    told = [{"ours": {"cpu": 1.0 + 30.0}, "one": {"cpu": 1.0 + 1.0}, "two": {"cpu": 1.0}}]
    found = outcome(SIZED, GROWTH, told)
    assert found.spread.middle == pytest.approx(3.0)
    assert not found.reached


def test_a_growth_that_is_lost_in_noise_proves_nothing() -> None:
    told = [{"ours": {"cpu": 31.0}, "one": {"cpu": 0.9}, "two": {"cpu": 1.0}}]
    assert not outcome(SIZED, GROWTH, told).reached


def test_a_contestant_that_fails_leaves_no_round() -> None:
    target = Target("none", "cpu", "ours", at_most=1.0)
    with pytest.raises(ContestantFailed, match="ours"):
        list(run(question(target), 1, on_dropped=pytest.fail))


# --- Rounds that do not count ---------------------------------------------------------------------

KEPT_UP = replace(
    question(Target("none", "cpu", "ours", at_most=1.0)),
    conditions=(Condition("somebody fell behind", "cpu", 0.9),),
)


def telling(shares: Sequence[float]) -> Ask:
    """In its n-th round everybody keeps up, but for the first contestant, whose share is given."""
    asked = count()

    def ask(contestant: Contestant, asking: Question) -> Mapping[str, float]:
        number = next(asked) // len(asking.contestants)
        return {"cpu": shares[number] if contestant.name == "ours" else 1.0}

    return ask


def test_a_round_in_which_somebody_fell_behind_is_run_again() -> None:
    dropped: list[str] = []
    ask = telling([0.95, 0.3, 0.91, 0.89, 1.0])
    rounds = list(run(KEPT_UP, 3, on_dropped=dropped.append, ask=ask))
    assert [each["ours"]["cpu"] for each in rounds] == [0.95, 0.91, 1.0]
    assert [list(each) for each in rounds] == [["ours", "one", "two"]] * 3
    assert len(dropped) == 2
    assert "somebody fell behind (ours: CPU 0.3, and 0.9 is the least)" in dropped[0]


def test_more_dropped_rounds_than_wanted_ones_fail_the_question() -> None:
    dropped: list[str] = []
    rounds = run(KEPT_UP, 2, on_dropped=dropped.append, ask=telling([0.1, 1.0, 0.2, 0.3, 1.0]))
    with pytest.raises(ContestantFailed, match=r"3 rounds do not count.*CPU 0\.3"):
        list(rounds)
    assert len(dropped) == 2


def test_the_page_says_what_stands_in_the_way_only_of_a_target_that_is_not_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    monkeypatch.setattr(report, "PAGE", tmp_path / "RESULTS.md")
    for at_most, said in ((2.0, False), (0.5, True)):
        target = Target("as fast", "cpu", "ours", ("one", "two"), at_most=at_most)
        asked = replace(question(target), in_the_way="the disk.")
        rounds = [{"ours": {"cpu": 1.0}, "one": {"cpu": 1.0}, "two": {"cpu": 1.0}}]
        report.keep(asked, rounds, {}, datetime(2026, 1, 1, tzinfo=UTC), dropped=0)
        report.write_page([asked])
        assert ("What stands in the way: the disk." in report.PAGE.read_text()) is said


def test_the_page_says_how_many_rounds_were_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    monkeypatch.setattr(report, "PAGE", tmp_path / "RESULTS.md")
    rounds = list(run(KEPT_UP, 1, on_dropped=lambda _: None, ask=telling([1.0])))
    report.keep(KEPT_UP, rounds, {}, datetime(2026, 1, 1, tzinfo=UTC), dropped=2)
    report.write_page([KEPT_UP])
    assert "1 rounds, 2 more dropped on 2026-01-01" in report.PAGE.read_text()


# --- The questions --------------------------------------------------------------------------------


def test_every_target_names_what_its_question_measures() -> None:
    assert [
        name for name, count in Counter(each.name for each in QUESTIONS).items() if count > 1
    ] == []
    for each in QUESTIONS:
        names = {contestant.name for contestant in each.contestants}
        assert len(names) == len(each.contestants), f"{each.name} has two contestants of one name"
        for target in each.targets:
            each.figure(target.figure)
            unknown = {target.ours, *target.against, target.above or target.ours} - names
            assert not unknown, f"{each.name}: a target names {unknown}"
            assert (target.at_most, target.at_least) != (None, None), f"{target.sentence}: no bound"
            assert not target.above or target.at_most, f"{target.sentence}: growth has a most"
        for condition in each.conditions:
            each.figure(condition.figure)


def test_what_stands_in_the_way_is_said_of_each_question_whose_target_is_not_reached() -> None:
    silent = [
        each.name
        for each in QUESTIONS
        if (asked := report.kept(each)) is not None
        and not all(found.reached for found in report.outcomes(each, asked.rounds))
        and not each.in_the_way
    ]
    assert silent == [], f"say in benchmarks/questions what stands in the way of {silent}"
