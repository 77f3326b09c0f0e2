"""A few histories of the stateful test in each test run; `make faults` tries more and longer ones."""

from tests.conftest import Tally
from tests.faults.model import Model, Request
from tests.faults.stateful import HISTORIES_IN_SHORT, STEPS_IN_SHORT, try_histories


def test_the_server_does_what_its_model_does_over_drops_and_restarts(tally: Tally) -> None:
    try_histories(histories=HISTORIES_IN_SHORT, steps=STEPS_IN_SHORT)
    tally(f"model: {HISTORIES_IN_SHORT} histories of up to {STEPS_IN_SHORT} steps")


def test_the_model_lets_nobody_in_who_was_not_approved_by_all() -> None:
    model = Model()
    model.open_thread("t", "alice", name="T", public=True)
    model.carry_out("alice", Request("invite_co_author", "t", "bob"))
    model.carry_out("bob", Request("accept_invitation", "t"))
    model.carry_out("carol", Request("submit_prompt", "t", "Hello"), "m")
    model.carry_out("alice", Request("approve_message", "t", "m"))
    assert model.threads["t"].co_authors == ["alice", "bob"]
    assert model.answer("carol", Request("approve_message", "t", "m")) == "forbidden"
    model.carry_out("bob", Request("leave_co_authorship", "t"))
    assert model.threads["t"].co_authors == ["alice", "carol"]
