"""Hostile content, hostile frames and other servers: shown harmlessly, told plainly, lived with."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from playwright.async_api import Browser, WebSocketRoute, expect

from tests.page.browser import Person, someone
from tests.support.client import signed_in
from tests.support.obedient_model import ObedientModel
from tests.support.scripted_endpoint import says, says_json
from tests.support.served import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCRIPT = "<script>window.hacked = 1</script>"
HANDLER = '<img src="x" onerror="window.hacked = 2"><svg onload="window.hacked = 3">'
LINK = "[click](javascript:window.hacked=4) [data](data:text/html,x) <a href='javascript:1'>y</a>"
REMOTE = "![seen](https://tracker.invalid/pixel.png)"
HUGE = "W" * 4_000
BIDI = "\u202eevil\u202c \u2066x\u2069 \u05d0\u05d1\u05d2"
SELECTS_THE_FIRST = {
    "explicit_intent": "To know.",
    "implicit_intent": "To be sure.",
    "confidence": 0.5,
    "selected": [{"label": "P1", "why": "It is about the otter."}],
}
HOSTILE = "\n\n".join((SCRIPT, HANDLER, LINK, REMOTE, HUGE, BIDI))


async def test_hostile_text_is_text_wherever_it_stands(
    browser: Browser, server: ServerProcess, model: ObedientModel
) -> None:
    for step in ("action", "yield"):
        model.plan("Be hostile.", step, says(HOSTILE))
    fetched: list[str] = []
    async with signed_in(server.url) as mallory, someone(browser, server.url, "Ann") as ann:
        ann.page.on("request", lambda request: fetched.append(request.url))
        await mallory.ask("set_name", name=f"{SCRIPT} {HANDLER}"[:80])
        thread = await mallory.new_thread(
            name='"><img src=x onerror=alert(1)>', visibility="public"
        )
        for prompt in (HOSTILE, "Be hostile."):
            accepted = await mallory.ask("submit_prompt", thread_id=thread, prompt=prompt)
            await mallory.end_of(accepted["run_id"])
        await ann.page.goto(f"{server.url}/#/t/{thread}")
        await ann.answers(2)
        await ann.page.locator(".run-toggle").last.click()
        for step in ("action", "experience"):
            row = ann.page.locator(f".run [data-step={step}]").last
            await row.locator(".step-toggle").click()
            await expect(row.locator(".step-output, .step-text").first).to_be_visible()
        said = ann.page.locator("article[data-role=user] > .message-main > .said")
        assert await said.first.text_content() == HOSTILE
        await expect(ann.answered.last.locator(".said")).to_contain_text(SCRIPT)
        assert await ann.page.locator("img, script:not([src])").count() == 0
        hrefs = await ann.run("() => [...document.links].map((link) => link.href)")
        assert not [href for href in hrefs if href.startswith(("javascript:", "data:"))]
        assert await ann.run("() => window.hacked") is None
        assert not [url for url in fetched if not url.startswith(server.url)], fetched
        await ann.shoot("hostile")
        await assert_nothing_is_wider_than_the_page(ann)


async def test_hostile_text_is_text_as_a_prior_and_in_a_citation(
    browser: Browser, server: ServerProcess, model: ObedientModel
) -> None:
    async with someone(browser, server.url, "Ann") as ann:
        await ann.ask(f"Remember the otter. {SCRIPT}{HANDLER}")
        await ann.answers(1)
        model.plan("What about the otter?", "intention", says_json(SELECTS_THE_FIRST))
        model.plan("What about the otter?", "yield", says("It is [P1], and not [P99]."))
        await ann.ask("What about the otter?")
        await ann.answers(2)
        await ann.open_run("What about the otter?")
        row = ann.step("What about the otter?", "experience")
        await row.locator(".step-toggle").click()
        await expect(row.locator(".prior").first).to_contain_text("<script>")
        said = ann.answered.last.locator(".said")
        await expect(said).to_have_text("It is P1, and not.")
        await expect(said.locator(".citation")).to_have_text(["P1"])
        await said.locator(".citation").click()
        source = ann.page.get_by_role("dialog", name="Source P1")
        await expect(source.locator(".citation-text")).to_contain_text(f"{SCRIPT}{HANDLER}")
        assert await ann.page.locator("img, script:not([src])").count() == 0
        assert await ann.run("() => window.hacked") is None


async def test_frames_that_are_none_are_told_once_and_skipped(
    browser: Browser, server: ServerProcess
) -> None:
    def relay(route: WebSocketRoute) -> None:
        upstream = route.connect_to_server()

        def to_page(payload: str | bytes) -> None:
            route.send(payload)
            if json.loads(payload)["type"] == "accepted":
                for text in ("{", "[]", "null", '{"type": 7}', '{"type": "news", "data": {}}'):
                    route.send(text)

        route.on_message(upstream.send)
        upstream.on_message(to_page)

    async with someone(browser, server.url, "Ann", enters=False) as ann:
        await ann.page.route_web_socket("**/ws", relay)
        await ann.page.reload()
        await ann.enter()
        await ann.ask("Still there?")
        await ann.answers(1)
        await expect(ann.page.locator(".toast.error")).to_have_count(1)
        await ann.connected()


async def test_a_server_of_another_version_is_named_and_nothing_is_sent_to_it(
    browser: Browser, server: ServerProcess
) -> None:
    sent: list[str | bytes] = []

    def other(route: WebSocketRoute) -> None:
        route.on_message(lambda payload: sent.append(payload))
        hello = {"protocol": 2, "epoch": "e", "limits": {}, "model": {}}
        route.send(json.dumps({"type": "hello", "re": None, "data": hello}))

    async with someone(browser, server.url, "Ann", enters=False) as ann:
        await ann.page.route_web_socket("**/ws", other)
        await ann.page.reload()
        await ann.page.get_by_role("button", name="Start").click()
        await expect(ann.page.locator("#connection")).to_contain_text("version 2")
        assert not sent


async def test_a_statement_for_another_host_is_not_signed(
    browser: Browser, server: ServerProcess
) -> None:
    sent: list[str] = []

    def relay(route: WebSocketRoute) -> None:
        upstream = route.connect_to_server()

        def to_server(payload: str | bytes) -> None:
            sent.append(json.loads(payload)["type"])
            upstream.send(payload)

        def to_page(payload: str | bytes) -> None:
            host = server.url.removeprefix("http://")
            route.send(str(payload).replace(f"{host} wants", "bank.example wants"))

        route.on_message(to_server)
        upstream.on_message(to_page)

    async with someone(browser, server.url, "Ann", enters=False) as ann:
        await ann.page.route_web_socket("**/ws", relay)
        await ann.page.reload()
        await ann.page.get_by_role("button", name="Start").click()
        await expect(ann.page.locator("#connection")).to_contain_text(
            "the statement is for bank.example"
        )
        assert sent == ["connect"]


async def test_a_full_disk_on_the_server_gives_the_prompt_back(
    browser: Browser, server: ServerProcess
) -> None:
    full = {
        "code": "storage_unavailable",
        "message": "The journal could not be written.",
        "retryable": True,
    }

    def relay(route: WebSocketRoute) -> None:
        upstream = route.connect_to_server()

        def to_server(payload: str | bytes) -> None:
            frame = json.loads(payload)
            if frame["type"] == "submit_prompt":
                route.send(json.dumps({"type": "error", "re": frame["id"], "data": full}))
            else:
                upstream.send(payload)

        route.on_message(to_server)
        upstream.on_message(route.send)

    async with someone(browser, server.url, "Ann", enters=False) as ann:
        await ann.page.route_web_socket("**/ws", relay)
        await ann.page.reload()
        await ann.enter()
        await ann.new_thread("Full")
        await ann.ask("Keep this?")
        await expect(ann.page.locator(".toast.error")).to_contain_text("disk may be full")
        await expect(ann.page.locator("#prompt")).to_have_value("Keep this?")


async def test_an_export_holds_the_whole_thread(
    browser: Browser, server: ServerProcess, tmp_path: Path
) -> None:
    async with someone(browser, server.url, "Ann") as ann:
        await ann.new_thread("Take away")
        await ann.ask("Is this exported?")
        await ann.answers(1)
        for form, found in (("Markdown", "## Ann"), ("JSON", '"head_seq"')):
            await ann.page.get_by_role("button", name="More about this thread").click()
            async with ann.page.expect_download() as saving:
                await ann.page.get_by_role("button", name=f"Export as {form}").click()
            file = tmp_path / (await saving.value).suggested_filename
            await (await saving.value).save_as(file)
            text = file.read_text()
            assert found in text
            assert "Is this exported?" in text


FORGED = "Well.\n\n## Chorus (gpt-5), 2026-01-01\n\nI agree.\n\n# Another\n```\n"
FORGERIES = (
    FORGED,
    FORGED.replace("\n", "\r"),
    f"````text\n{FORGED}````\n{FORGED}~~~\n{FORGED}",
    "</blockquote><h2>Chorus</h2><!-- ",
    "Title\n=====\n\n<h1>Ann</h1>",
)


async def test_no_text_of_an_export_passes_for_anothers(
    browser: Browser, server: ServerProcess, model: ObedientModel, tmp_path: Path
) -> None:
    async with someone(browser, server.url, "Ann") as ann:
        await ann.new_thread("# *Forged*")
        for number, forgery in enumerate(FORGERIES, 1):
            prompt = f"{number}? {forgery}".strip()
            await ann.ask(prompt)
            await ann.answers(number)
        await ann.page.get_by_role("button", name="More about this thread").click()
        async with ann.page.expect_download() as saving:
            await ann.page.get_by_role("button", name="Export as Markdown").click()
        file = tmp_path / "export.md"
        await (await saving.value).save_as(file)
    # The answers repeat the prompts, so each forgery stands in a message of both kinds.
    parsed = MarkdownIt("commonmark").parse(file.read_text())
    headings = [
        following.content
        for token, following in pairwise(parsed)
        if token.type == "heading_open" and token.level == 0
    ]
    assert len(headings) == 1 + 2 * len(FORGERIES), headings
    assert headings[0] == r"\# \*Forged\*"
    assert [each.partition(" (")[0] for each in headings[1:]] == ["Ann", "Chorus"] * len(FORGERIES)
    for token in parsed:
        assert token.type != "html_block", token.content
        inline = [each.type for each in token.children or []]
        assert "html_inline" not in inline, token.content


async def assert_nothing_is_wider_than_the_page(person: Person) -> None:
    for width in (1440, 360):
        await person.page.set_viewport_size({"width": width, "height": 800})
        overflow = await person.run("() => document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0, f"at {width} px the page is {overflow} px too wide"
