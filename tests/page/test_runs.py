"""Runs as people watch them: live, stopped, failed, over reloads and over the end of the server."""

import json
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, WebSocketRoute, expect

from tests.page.browser import Person, someone
from tests.support.obedient_model import STEPS, ObedientModel, answer_to, update
from tests.support.scripted_endpoint import (
    DONE,
    chunk,
    line,
    refuses,
    says,
    stalls_after,
    usage,
    writes,
)
from tests.support.served import ServerProcess

LATE = """async () => {
    const { Journal } = await import("/page/journal.js");
    const at = (seq) => ({
        type: "chorus_response", thread_id: "t", seq,
        data: { run_id: "run", message_id: "prompt", status: "queued", transitions: [] },
    });
    const renamed = (seq) => ({
        type: "thread_event", thread_id: "t", seq, data: { kind: "thread_renamed", transitions: [] },
    });
    const pages = [];
    const journal = new Journal(async ({ after_seq: after, limit }) => {
        pages.push(after);
        const seqs = Array.from({ length: limit }, (_, place) => after + place + 1);
        return {
            entries: seqs.map((seq) => (seq === 90_000 ? at(seq) : renamed(seq))),
            head_seq: 100_000, has_more: true,
        };
    });
    journal.open("t");
    const found = await journal.load("run", 0, (entries) => entries.length > 0, async () => 90_000);
    return [found.map(({ seq }) => seq), pages.at(-1)];
}"""
"""A run of an early prompt that was forked late, in a thread that is long."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_six_steps_stream_and_the_drawing_moves_with_them(
    browser: Browser, server: ServerProcess, model: ObedientModel
) -> None:
    prompt = "What moves here?"
    first = model.hold(prompt, "action", first="Thinking aloud. ", rest="Done thinking.")
    last = model.hold(prompt, "yield", first="The answer begins ", rest="and ends.")
    async with someone(browser, server.url, "Ann") as ann:
        await ann.ask(prompt)
        await expect(ann.step(prompt, "action").locator(".step-text")).to_have_text(
            "Thinking aloud. ", use_inner_text=False
        )
        await ann.open_machines()
        await expect(ann.state("chorus", "action")).to_have_class("state atomic current")
        await ann.shoot("streaming")
        first.opened.set()
        await expect(ann.page.locator(".live-answer")).to_have_text("The answer begins ")
        await expect(ann.state("chorus", "yielding")).to_have_class("state atomic current")
        taken = ann.page.locator("svg.chorus .edge.taken")
        await expect(taken).to_have_count(7)
        last.opened.set()
        await ann.answers(1)
        await expect(ann.answered.locator(".said")).to_have_text("The answer begins and ends.")
        await expect(ann.state("chorus", "finished")).to_have_class("state atomic final current")
        await expect(ann.page.locator(".machine-words")).to_contain_text(
            "from yielding to finished"
        )


async def test_another_loop_is_counted_on_its_steps_and_on_its_edge(
    browser: Browser, server: ServerProcess, model: ObedientModel
) -> None:
    prompt = "Round and round?"
    model.plan(prompt, "update", update(loop=True))
    async with someone(browser, server.url, "Ann") as ann:
        await ann.ask(prompt)
        await ann.answers(1)
        await expect(ann.message(prompt).locator(".run-summary")).to_contain_text("2 loops")
        await ann.open_run(prompt)
        await expect(ann.step(prompt, "update")).to_contain_text("loop 2")
        await ann.open_machines()
        await expect(
            ann.page.locator(".edge-count", has_text="\N{MULTIPLICATION SIGN}2").first
        ).to_be_attached()
        loop = ann.page.locator("#edge_chorus_step_completed_update_action")
        await expect(loop).to_have_class("edge normal taken")


async def test_the_line_of_a_run_counts_the_tokens_of_all_its_steps(
    browser: Browser, server: ServerProcess, model: ObedientModel
) -> None:
    prompt, last = "What does this cost?", "What does the strip show?"
    model.plan(prompt, "action", says("A thought.", counted=usage(10, 5)))
    model.plan(prompt, "yield", says("An answer.", counted=usage(30, 10)))
    async with someone(browser, server.url, "Ann") as ann:
        await ann.ask(prompt)
        await ann.answers(1)
        line = ann.message(prompt).locator(".run-summary")
        await expect(line).to_have_text("6 steps \N{MIDDLE DOT} 55 tokens")
        await ann.ask(last)
        await ann.answers(2)
        await ann.page.reload()
        # The strip reads the last run by itself; an earlier one is read once it is opened.
        await expect(ann.message(last).locator(".run-summary")).to_have_text("6 steps")
        await expect(line).to_have_text("How this was answered")
        await ann.open_run(prompt)
        await expect(line).to_have_text("6 steps \N{MIDDLE DOT} 55 tokens")
        await expect(ann.step(prompt, "yield")).to_contain_text("40 tokens")


async def test_a_text_that_was_cut_says_so_on_its_step_and_on_the_answer(
    browser: Browser, server: ServerProcess, model: ObedientModel
) -> None:
    prompt = "Tell it at length?"
    model.plan(prompt, "action", says("A long thought", finish="length"))
    model.plan(prompt, "yield", says("A long answer", finish="length"))
    async with someone(browser, server.url, "Ann") as ann:
        await ann.ask(prompt)
        await ann.answers(1)
        await expect(ann.answered.locator(".note.warn")).to_contain_text("Cut at the length limit")
        await ann.open_run(prompt)
        await ann.step(prompt, "action").locator(".step-toggle").click()
        cut = ann.step(prompt, "action").locator(".note.warn")
        await expect(cut).to_contain_text("Cut at the length limit")


async def test_thoughts_are_folded_above_the_text_of_their_step(
    browser: Browser, server: ServerProcess, model: ObedientModel
) -> None:
    prompt = "Think first?"
    thoughts = line(chunk(reasoning_content="Let me see."))
    said = line(chunk("A thought")), line(chunk(finish="stop")), DONE
    model.plan(prompt, "action", stalls_after(tail=[chunk(reasoning_content="Hm.")]))
    model.plan(prompt, "action", writes(thoughts, *said))
    async with someone(browser, server.url, "Ann") as ann:
        await ann.ask(prompt)
        thinking = ann.step(prompt, "action").locator("details.thinking")
        await expect(thinking.locator("summary")).to_have_text("Thinking, 3 characters")
        await expect(thinking.locator(".thought")).to_be_hidden()
        await thinking.locator("summary").click()
        await expect(thinking.locator(".thought")).to_have_text("Hm.")
        await ann.page.press("#prompt", "Escape")
        await ann.message(prompt).get_by_role("button", name="Retry").click()
        await ann.answers(1)
        await ann.open_run(prompt)
        await ann.step(prompt, "action").locator(".step-toggle").click()
        await expect(thinking.locator("summary")).to_have_text("Thought, 11 characters")


async def test_an_answer_that_is_enough_shows_one_step_and_five_that_were_skipped(
    browser: Browser, server: ServerProcess, model: ObedientModel
) -> None:
    prompt = "Good morning to all"
    model.plan(prompt, "action", says("Good morning!\n[eno", "ugh]"))
    async with someone(browser, server.url, "Ann") as ann:
        await ann.ask(prompt)
        await ann.answers(1)
        await expect(ann.answered.locator(".said")).to_have_text("Good morning!")
        await expect(ann.message(prompt).locator(".run-summary")).to_contain_text("1 step")
        await ann.open_run(prompt)
        for step in STEPS[1:]:
            await expect(ann.step(prompt, step)).to_contain_text("skipped")
        await ann.step(prompt, "action").locator(".step-toggle").click()
        await expect(ann.step(prompt, "action")).to_contain_text("Enough: this is the answer.")
        skipped = ann.page.locator(".strip-step[data-state=skipped]")
        await expect(skipped).to_have_count(len(STEPS) - 1)
        await ann.open_machines()
        await expect(ann.state("chorus", "finished")).to_have_class("state atomic final current")
        end = ann.page.locator("#edge_chorus_step_completed_action_finished")
        await expect(end).to_have_class("edge normal taken last")


async def test_escape_stops_a_run_and_retry_answers_it(
    browser: Browser, server: ServerProcess, model: ObedientModel
) -> None:
    prompt = "Stop me?"
    held = model.hold(prompt, "action")
    async with someone(browser, server.url, "Ann") as ann:
        await ann.ask(prompt)
        await expect(ann.step(prompt, "action").locator(".step-text")).to_have_text("So far. ")
        await ann.page.press("#prompt", "Escape")
        await expect(ann.message(prompt).locator(".run-summary")).to_contain_text(
            "Stopped by you at Action"
        )
        await ann.open_machines()
        await expect(ann.state("chorus", "cancelled")).to_have_class("state atomic final current")
        await ann.close_machines()
        held.opened.set()
        await ann.message(prompt).get_by_role("button", name="Retry").click()
        await ann.answers(1)
        await expect(ann.answered.locator(".said")).to_have_text(answer_to(prompt))

        await ann.page.reload()
        await ann.message(prompt).get_by_role("button", name="Why", exact=True).click()
        runs = ann.page.get_by_label("Of this prompt")
        await expect(runs).to_contain_text("2: run, finished")
        await runs.select_option(index=0)
        await expect(runs).to_contain_text("1: run, stopped")
        await ann.page.locator(".why-step", has_text="from running to cancelled").click()
        await expect(ann.page.locator(".why-details")).to_contain_text("by: Ann")
        await ann.shoot("why-stopped")


async def test_a_failed_attempt_is_told_and_a_failed_run_says_why(
    browser: Browser, server: ServerProcess, model: ObedientModel
) -> None:
    async with someone(browser, server.url, "Ann") as ann:
        model.plan("Stumble?", "action", refuses(500))
        await ann.ask("Stumble?")
        await ann.answers(1)
        await ann.open_run("Stumble?")
        await ann.step("Stumble?", "action").locator(".step-toggle").click()
        await expect(ann.step("Stumble?", "action").locator(".note.warn")).to_contain_text(
            "Attempt 1"
        )
        model.plan("Fall?", "action", refuses(401))
        await ann.ask("Fall?")
        await expect(ann.message("Fall?").locator(".run > .note.error")).to_contain_text(
            "an operator"
        )
        await expect(strip_step(ann, "action")).to_have_attribute("data-state", "failed")
        await ann.open_machines()
        await expect(ann.state("chorus", "failed")).to_have_class("state atomic final current")


async def test_a_reload_in_the_middle_of_a_run_shows_it_as_far_as_it_is(
    browser: Browser, server: ServerProcess, model: ObedientModel
) -> None:
    prompt = "Reload me?"
    held = model.hold(prompt, "yield", first="The first half ", rest="and the second.")
    async with someone(browser, server.url, "Ann") as ann:
        await ann.ask(prompt)
        await expect(ann.page.locator(".live-answer")).to_have_text("The first half ")
        await ann.page.reload()
        await expect(ann.page.locator(".live-answer")).to_have_text("The first half ")
        await ann.open_run(prompt)
        for step in STEPS[:-1]:
            row = ann.step(prompt, step)
            await expect(row).to_have_attribute("data-state", "completed")
        await ann.open_machines()
        await expect(ann.page.locator("svg.chorus .edge.taken")).to_have_count(7)
        held.opened.set()
        await ann.answers(1)
        await expect(ann.answered.locator(".said")).to_have_text("The first half and the second.")


async def test_a_killed_server_loses_nothing_that_was_said_or_typed(
    browser: Browser, server: ServerProcess, model: ObedientModel
) -> None:
    prompt, unsent = "Survive this?", "Sent while nobody listened?"
    model.hold(prompt, "yield", first="Lost with the server ", rest="")
    async with someone(browser, server.url, "Ann") as ann:
        await ann.ask(prompt)
        await expect(ann.page.locator(".live-answer")).to_contain_text("Lost with")
        await server.kill()
        await expect(ann.page.locator("#connection")).to_contain_text("econnect")
        await ann.ask(unsent)
        await expect(ann.page.locator(".outgoing")).to_contain_text(unsent)
        await ann.page.fill("#prompt", "still being typed")
        await ann.shoot("offline")
        await server.start()
        await ann.answers(2)
        texts = await ann.answered.locator(".said").all_text_contents()
        assert [text.strip() for text in texts] == [answer_to(prompt), answer_to(unsent)]
        await expect(ann.page.locator(".outgoing")).to_have_count(0)
        assert await ann.page.input_value("#prompt") == "still being typed"
        interrupted = ann.page.locator("#edge_connection_network_lost_signed_in_interrupted")
        await ann.open_machines("Connection")
        await expect(interrupted).to_have_class("edge failure taken")


async def test_a_replay_shows_the_journal_entry_by_entry(
    browser: Browser, server: ServerProcess, model: ObedientModel
) -> None:
    prompt = "Replay me?"
    model.plan(prompt, "update", update(loop=True))
    async with someone(browser, server.url, "Ann") as ann:
        frames = record_frames(ann)
        await ann.page.reload()
        await ann.connected()
        await ann.ask(prompt)
        await ann.answers(1)
        run = next(each["data"]["run_id"] for each in frames if each["type"] == "chorus_response")
        journal = [each for each in frames if each.get("seq") and each["data"].get("run_id") == run]
        journal = [each for each in journal if each["type"] == "chorus_response"]

        await ann.page.reload()
        await ann.message(prompt).get_by_role("button", name="Replay").click()
        slider = ann.page.get_by_role("slider", name="Position in the journal")
        await expect(slider).to_have_attribute("max", str(len(journal)))
        await expect(ann.page.get_by_role("button", name="Pause")).to_be_visible()
        await expect(ann.page.locator(".replay-words")).not_to_contain_text("before the beginning")
        await slider.press("Home")
        edges: dict[str, int] = {}
        for position, entry in enumerate(journal, start=1):
            await slider.press("ArrowRight")
            data = entry["data"]
            words = ann.page.locator(".replay-words")
            await expect(words).to_contain_text(f"{position} of {len(journal)}: {data['step']}")
            for transition in data["transitions"]:
                if transition["machine"] == "chorus":
                    edges[transition["edge"]] = edges.get(transition["edge"], 0) + 1
                    target = ann.state("chorus", transition["target"])
                    await expect(target).to_have_class(
                        "state parallel current"
                        if transition["target"] == "running"
                        else "state atomic final current"
                        if transition["target"] == "finished"
                        else "state atomic current"
                    )
            lit = ann.page.locator("svg.chorus .edge.taken")
            assert {await each.get_attribute("id") for each in await lit.all()} == set(edges)
            if data["status"] == "completed":
                shown = ann.page.locator(f".replay-steps [data-step={data['step']}]")
                await expect(shown).to_have_attribute("data-state", "completed")
        await ann.shoot("replay")
        counts = await ann.page.locator(".edge-count").all_inner_texts()
        assert sorted(counts) == sorted(
            f"\N{MULTIPLICATION SIGN}{count}" for count in edges.values()
        )


def strip_step(person: Person, step: str) -> Locator:
    """A step in the strip above the conversation."""
    return person.page.locator(f".strip [data-step={step}]")


def record_frames(person: Person) -> list[dict[str, Any]]:
    """All frames that reach the page from now on."""
    frames: list[dict[str, Any]] = []

    def keep(payload: str | bytes) -> None:
        frames.append(json.loads(payload))

    person.page.on("websocket", lambda socket: socket.on("framereceived", keep))
    return frames


async def test_a_run_that_waits_for_the_disk_says_so_until_it_goes_on(
    browser: Browser, server: ServerProcess, model: ObedientModel
) -> None:
    prompt = "Is there room?"
    held = model.hold(prompt, "action")
    routes: list[WebSocketRoute] = []

    def relay(route: WebSocketRoute) -> None:
        routes.append(route)
        route.connect_to_server()

    async with someone(browser, server.url, "Ann", enters=False) as ann:
        await ann.page.route_web_socket("**/ws", relay)
        await ann.page.reload()
        await ann.enter()
        await ann.ask(prompt)
        await expect(ann.step(prompt, "action").locator(".step-text")).to_have_text("So far. ")
        thread_id = ann.page.url.rpartition("/")[2]
        waits = {"thread_id": thread_id, "head_seq": 1, "kind": "storage_unavailable"}
        data = {**waits, "message": "The disk is full."}
        routes[-1].send(json.dumps({"type": "notice", "re": None, "data": data}))
        problem = ann.message(prompt).locator(".run > .note.error")
        await expect(problem).to_have_text("The disk is full. The run waits.")
        held.opened.set()
        await ann.answers(1)
        await expect(problem).to_be_hidden()


async def test_a_run_that_began_long_after_its_prompt_is_read_where_it_began(
    browser: Browser, server: ServerProcess
) -> None:
    async with someone(browser, server.url, "Ann") as ann:
        assert await ann.run(LATE) == [[90_000], 89_999]
