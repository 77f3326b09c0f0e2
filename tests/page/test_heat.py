"""Heat in the page: a switch shows what the machine did in the thread, on its drawing and in words."""

import pytest
from playwright.async_api import Browser, expect

from machines.models.heat import class_of
from tests.page.browser import someone
from tests.support.served import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

START = "svg.chorus #edge_chorus_start_queued_running"

WARMED = """async ([begins, numbers]) => {
  const { classOf, warm } = await import(new URL("page/heat.js", document.baseURI).href);
  const refused = [{ event: "start", guard: "thread_is_free", count: 7 }];
  const edges = { edge_chorus_start_queued_running: 3 };
  const heat = { machine: "chorus", edges, states: {}, steps: {}, refused, passed_over: [] };
  const told = { heat, edge_steps: [3], state_steps_ms: [] };
  const labels = warm(document.querySelector("svg.chorus").cloneNode(true), told);
  return [
    labels.map(({ element, text }) => [element.id, text]),
    begins.map((each) => numbers.map((number) => classOf(each, number))),
  ];
}"""
"""What the page makes of counts, on a copy of its drawing."""


async def test_the_drawing_shows_how_often_edges_were_taken_and_the_run_again_without(
    browser: Browser, server: ServerProcess
) -> None:
    async with someone(browser, server.url, "Ann") as ann:
        for number in (1, 2):
            await ann.ask(f"How warm is it, number {number}?")
            await ann.answers(number)
        await ann.open_machines()
        switch = ann.page.get_by_role("button", name="Heat")
        await expect(switch).to_have_attribute("aria-pressed", "false")
        await switch.click()
        heat = ann.page.get_by_role("region", name="Heat")
        await expect(heat).to_contain_text("start queued running")
        await expect(heat.get_by_role("table", name="Taken")).to_contain_text(
            "start queued running\N{MULTIPLICATION SIGN}2"
        )
        await expect(heat.get_by_role("table", name="Held")).to_contain_text("yielding")
        line = ann.page.locator(f"{START} > .line").first
        await expect(line).to_have_css("stroke-width", "3.8px")
        never = ann.page.locator("svg.chorus #edge_chorus_cancel_queued_cancelled > .line").first
        await expect(never).to_have_css("stroke-dasharray", "1px, 4px")
        scale = heat.locator(".heat-scale")
        await expect(scale).to_contain_text("An edge: how often it was taken")
        await expect(scale).to_contain_text("never taken")
        await expect(scale).to_contain_text("p95, logarithmic scale, from")
        await expect(scale.locator(".state")).not_to_have_count(0)
        await expect(heat).to_contain_text("to now, by whole hours.")
        await expect(ann.page.locator("svg.chorus .taken")).to_have_count(0)
        await expect(ann.page.locator(".edge-count.held").first).to_contain_text("p95")
        await ann.shoot("heat")

        begins = [[1, 10, 100, 1_000, 10_000], [1, 2, 2, 2, 2], [7], []]
        numbers = [1, 2, 7, 9, 10, 99_999]
        labels, classes = await ann.page.evaluate(WARMED, [begins, numbers])
        ((edge, words),) = labels
        assert edge == START.split("#")[1]
        assert (
            words
            == "\N{MULTIPLICATION SIGN}3 \N{MIDDLE DOT} refused \N{MULTIPLICATION SIGN}7 by thread is free"
        )
        assert classes == [[class_of(each, number) for number in numbers] for each in begins], (
            "a number is in the class that the terminal's drawing has for it"
        )

        await heat.get_by_label("Period").select_option("all")
        await expect(heat).to_contain_text("start queued running")
        await expect(heat).to_contain_text("Counted from the beginning to now, by whole hours.")
        await ann.page.get_by_role("tab", name="Thread").click()
        await expect(heat).to_contain_text("add message active active")
        await ann.page.get_by_role("tab", name="Connection").click()
        await expect(heat).to_be_hidden()
        await ann.page.get_by_role("tab", name="Run").click()

        await switch.click()
        await expect(heat).to_be_hidden()
        assert await ann.lit("chorus") == {"state_chorus_finished"}
        await expect(ann.page.locator("svg.chorus.heat")).to_have_count(0)
        await expect(ann.page.locator(START)).to_have_class("edge normal taken")
