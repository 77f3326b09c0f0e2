"""The arithmetic of scale, and the simulation beside it: held against what is known of queues."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.queueing import STEPS, House, simulate
from benchmarks.scale import Costs, Use, main, plan, runs_of_a_database, runs_of_a_server

COUNTS = st.integers(min_value=1, max_value=10**7)
COSTS = Costs()
USE = Use()


@given(COUNTS, COUNTS)
def test_more_users_never_need_less(one: int, other: int) -> None:
    fewer, more = sorted((one, other))
    small, large = plan(fewer, COSTS, USE), plan(more, COSTS, USE)
    assert small.servers <= large.servers
    assert small.databases <= large.databases
    assert small.stored_gib <= large.stored_gib


@given(COUNTS)
def test_no_machine_is_filled_above_what_was_planned(users: int) -> None:
    needed = plan(users, COSTS, USE)
    assert needed.runs_a_second <= needed.servers * runs_of_a_server(COSTS, USE) * 1.000001
    assert needed.runs_a_second <= needed.databases * runs_of_a_database(COSTS, USE) * 1.000001


def test_servers_that_embed_texts_carry_fewer_runs() -> None:
    itself = replace(USE, embeds=True)
    assert runs_of_a_server(COSTS, itself) < runs_of_a_server(COSTS, USE)
    assert plan(100_000, COSTS, itself).servers > plan(100_000, COSTS, USE).servers


def house(servers: int = 1) -> House:
    return House(servers=servers, server_seconds=0.02, database_seconds=1e-9, model_seconds=1.0)


def waits(house: House, load: float) -> float:
    """The mean wait of a step, in seconds."""
    rate = load * house.servers / house.server_seconds / STEPS
    waited = simulate(house, rate, seconds=20_000 / STEPS / rate)
    return sum(waited.seconds) / len(waited.seconds)


def test_one_queue_waits_as_the_formula_of_m_m_1_says() -> None:
    # Gross and Harris, Fundamentals of Queueing Theory: W = service * load / (1 - load). Steps come
    # from many runs that think for long, and so nearly at random.
    assert waits(house(), 0.5) == pytest.approx(0.02 * 0.5 / 0.5, rel=0.25)


@settings(max_examples=5)
@given(st.integers(min_value=1, max_value=4))
def test_the_fuller_servers_are_the_longer_a_step_waits(servers: int) -> None:
    light, heavy = waits(house(servers), 0.3), waits(house(servers), 0.9)
    assert heavy > 3 * light


def test_the_same_seed_gives_the_same_answer() -> None:
    first, second = (simulate(house(2), 5.0, seconds=20.0) for _ in range(2))
    assert first == second
    assert first != simulate(house(2), 5.0, seconds=20.0, seed=2)


def test_anyone_can_run_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.scale.STEPS_SIMULATED", 600)
    assert main(["--users", "5000", "--embeds", "--prompts-a-day", "3"]) == 0
    told = capsys.readouterr().out
    assert "5,000" in told
    assert "p99" in told


def test_a_number_that_makes_no_sense_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["--fill", "0"])
    assert refused.value.code == 2
    assert "above zero" in capsys.readouterr().err
