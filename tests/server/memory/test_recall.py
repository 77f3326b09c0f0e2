"""What runs recall and users find, of a committed set of dialogues and of a thread that repeats itself.

The floors count answers: they hold on any machine. `make bench ONLY=recall` measures other sets.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from benchmarks.contestants.recall_ours import answers_of
from benchmarks.recall_sets import SENT, Answer, Dialogue, dialogues_of
from machines.models.message import EXTRACTIVE_MODEL
from server.llm import offline
from server.memory.embedders.minilm import MiniLmEmbedder, installed_folder, verified_files
from server.services import Services
from tests.support.client import Data, Identity
from tests.support.eventually import eventually
from tests.support.in_process import Caller, open_test_services

SET = Path(__file__).parents[2] / "data" / "recall" / "club.json"
AS_ASKED, IN_OTHER_WORDS = dialogues_of(SET)


@pytest.fixture
async def embedder() -> AsyncIterator[MiniLmEmbedder]:
    minilm = MiniLmEmbedder(await asyncio.to_thread(lambda: verified_files(installed_folder())))
    yield minilm
    await minilm.close()


def answered(answers: list[Answer]) -> int:
    """Questions of whose evidence a run is sent all."""
    return sum(answer.evidence <= {*answer.sent} for answer in answers)


def first_threads(dialogue: Dialogue, answers: list[Answer]) -> int:
    """Questions whose first thread is one that answers."""
    return sum(
        dialogue.turns[answer.found[0]].session
        in {dialogue.turns[place].session for place in answer.evidence}
        for answer in answers
    )


@pytest.mark.parametrize(
    ("dialogue", "most_missed", "most_astray"),
    [
        pytest.param(AS_ASKED, 1, 3, id="in the words of the talk"),
        pytest.param(IN_OTHER_WORDS, 2, 6, id="in other words"),
    ],
)
async def test_what_was_said_is_recalled(
    embedder: MiniLmEmbedder, dialogue: Dialogue, most_missed: int, most_astray: int
) -> None:
    answers = await answers_of(dialogue, embedder, with_words=True)
    assert all(len(answer.sent) <= SENT for answer in answers)
    assert len(answers) == len(dialogue.questions)
    assert len(answers) - answered(answers) <= most_missed
    assert len(answers) - first_threads(dialogue, answers) <= most_astray


async def test_words_lose_nothing_that_the_vectors_alone_find(embedder: MiniLmEmbedder) -> None:
    for dialogue in (AS_ASKED, IN_OTHER_WORDS):
        alone = await answers_of(dialogue, embedder, with_words=False)
        assert answered(await answers_of(dialogue, embedder, with_words=True)) >= answered(alone)


# --- A thread that repeats itself ----------------------------------------------------------------


async def nothing_waits(services: Services) -> bool:
    return not await services.journal.queued_tasks(limit=1)


async def ask(services: Services, caller: Caller, thread_id: str, prompt: str) -> list[Data]:
    """Submit a prompt; the priors of its run."""
    await eventually(lambda: nothing_waits(services), "the memory held all")
    await caller.get("get_thread", thread_id=thread_id)
    asked = await caller.get("submit_prompt", thread_id=thread_id, prompt=prompt)
    await caller.line.until(
        lambda each: (
            each["data"].get("run_id") == asked["run_id"]
            and each["data"].get("status") == "finished"
        ),
        "the end of a run",
    )
    (completed,) = (
        each["data"]
        for each in caller.live(thread_id)
        if each["data"].get("run_id") == asked["run_id"]
        and each["data"].get("step") == "experience"
        and each["data"].get("status") == "completed"
    )
    return list(completed["priors"])


async def thread_of(caller: Caller, name: str) -> str:
    return str((await caller.get("create_thread", name=name))["thread_id"])


FACT = "The greenhouse door code is written in the blue ledger."
QUESTION = "Where is the greenhouse door code kept?"


async def test_a_question_that_is_asked_again_and_again_never_crowds_out_its_answer(
    tmp_path: Path,
) -> None:
    async with open_test_services(tmp_path) as services:
        caller = await Caller(services).sign_in(Identity())
        await ask(services, caller, await thread_of(caller, "Facts"), FACT)
        thread_id = await thread_of(caller, "Questions")
        for _ in range(4):
            priors = await ask(services, caller, thread_id, QUESTION)
            assert [prior["content"] for prior in priors] == [FACT]
        await eventually(lambda: nothing_waits(services), "the memory held all")
        results = (await caller.get("search", query=QUESTION, limit=80))["results"]
        contents = [result["content"] for result in results]
        assert {FACT, QUESTION} < {*contents}, "a search finds questions and offline answers too"
        assert len(contents) == len(set(contents)), "and each text once"


async def test_what_the_request_quotes_is_a_prior_only_where_nothing_else_is(
    tmp_path: Path,
) -> None:
    async with open_test_services(tmp_path) as services:
        caller = await Caller(services).sign_in(Identity())
        thread_id = await thread_of(caller, "One thread")
        await ask(services, caller, thread_id, FACT)
        priors = await ask(services, caller, thread_id, QUESTION)
        assert [prior["content"] for prior in priors] == [FACT], "it could not be cited"
        other = "The door of the greenhouse was painted green."
        await ask(services, caller, await thread_of(caller, "Another"), other)
        priors = await ask(services, caller, thread_id, "What of the greenhouse door?")
        assert [prior["content"] for prior in priors] == [other]


def test_answers_of_the_offline_responder_are_known_by_its_name() -> None:
    assert offline.MODEL == EXTRACTIVE_MODEL


# --- A memory of an earlier version --------------------------------------------------------------


async def test_a_memory_of_other_texts_is_embedded_again_while_the_server_runs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    identity = Identity()
    with pytest.MonkeyPatch.context() as patch:
        for module in ("server.stores", "server.memory.points"):
            patch.setattr(f"{module}.fingerprint_of", lambda embedder: embedder)
        async with open_test_services(tmp_path) as services:
            caller = await Caller(services).sign_in(identity)
            thread_id = await thread_of(caller, "Facts")
            await ask(services, caller, thread_id, FACT)
            await eventually(lambda: nothing_waits(services), "the memory held all")
    with caplog.at_level(logging.WARNING):
        async with open_test_services(tmp_path) as services:
            assert "embedded again while the server runs" in caplog.text
            caller = await Caller(services).sign_in(identity)

            async def found() -> bool:
                reply = await caller.get("search", query=QUESTION)
                return any(result["content"] == FACT for result in reply["results"])

            await eventually(found, "the fact was embedded again, and found")
            await eventually(lambda: nothing_waits(services), "the memory held all")
    caplog.clear()
    async with open_test_services(tmp_path) as services:
        assert "embedded again" not in caplog.text, "it is embedded at every start"
        assert await nothing_waits(services)
