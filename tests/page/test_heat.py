"""Heat in the page: a switch shows what the machine did in the thread, on its drawing and in words."""

import pytest
from playwright.async_api import Browser, expect

from tests.page.browser import someone
from tests.support.served import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

START = "svg.chorus #edge_chorus_start_queued_running"


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
        pale = ann.page.locator("svg.chorus #edge_chorus_cancel_queued_cancelled > .line").first
        await expect(pale).to_have_css("opacity", "0.3")
        await expect(ann.page.locator("svg.chorus .taken")).to_have_count(0)
        await expect(ann.page.locator(".edge-count.held").first).to_contain_text("p95")
        await ann.shoot("heat")

        await heat.get_by_label("Period").select_option("all")
        await expect(heat).to_contain_text("start queued running")
        await expect(heat).not_to_contain_text("Since")
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
