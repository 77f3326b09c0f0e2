"""Answers as users read them: Markdown while it is written, code, tables and formulas."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import Browser, expect

from tests.page.browser import someone
from tests.page.test_habits import assert_accessible
from tests.support.obedient_model import ObedientModel
from tests.support.scripted_endpoint import DONE, Script, ScriptedEndpoint, chunk, line, says
from tests.support.served import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

FENCE = "`" * 3
ANSWER = f"""\
## Two ways

The *first* one, with $a_1 * b_1$ and $\\unknown_1$:

$$\\int_0^\\infty e^{{-x^2}} dx = \\frac{{\\sqrt{{\\pi}}}}{{2}}$$

{FENCE}python
def double(number: int) -> int:  # twice as much
    return 2 * number
{FENCE}

| way | cost |
|:----|-----:|
| one | 10 |
| two | 9 |
"""


async def test_markdown_is_rendered_while_it_is_written_and_what_stands_is_left_alone(
    browser: Browser, server: ServerProcess, model: ObedientModel
) -> None:
    prompt = "Write as you go?"
    gates = [asyncio.Event(), asyncio.Event()]
    model.plan(
        prompt, "yield", in_pieces([f"{ANSWER}\nThe *last* wo", "rds, and *more*.", ""], gates)
    )
    async with someone(browser, server.url, "Ann") as ann:
        await ann.ask(prompt)
        live = ann.page.locator(".live-answer")
        await expect(live.locator("h2")).to_have_text("Two ways")
        await expect(live.locator("td[align=right]").last).to_have_text("9")
        await expect(live.locator("em").last).to_have_text("last")
        await ann.shoot("answer-written")
        await live.locator("pre").evaluate(
            "(code) => { code.dataset.seen = ''; getSelection().selectAllChildren(code); }"
        )
        gates[0].set()
        await expect(live.locator("em").last).to_have_text("more")
        await expect(live.locator("pre[data-seen]")).to_be_visible()
        assert "def double" in await ann.run("() => getSelection().toString()")
        await ann.page.reload()
        await expect(live.locator("h2")).to_have_text("Two ways")
        await expect(live.locator(".hljs-keyword").first).to_have_text("def")
        gates[1].set()
        await ann.answers(1)
        await expect(ann.answered.locator("p").last).to_have_text("The last words, and more.")


def in_pieces(pieces: list[str], gates: list[asyncio.Event]) -> Script:
    """An answer whose every piece but the first waits for its gate."""

    async def script(_: ScriptedEndpoint, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(line(chunk(pieces[0])))
        for piece, gate in zip(pieces[1:], gates, strict=True):
            await gate.wait()
            await response.write(line(chunk(piece)))
        for event in (line(chunk(finish="stop")), DONE):
            await response.write(event)
        return response

    return script


async def test_code_has_colours_and_a_button_that_copies_it_tables_and_formulas_keep_their_form(
    browser: Browser, server: ServerProcess, model: ObedientModel
) -> None:
    for scheme in ("light", "dark"):
        prompt = f"Show me code in {scheme}."
        model.plan(prompt, "yield", says(ANSWER))
        async with someone(browser, server.url, "Ann", color_scheme=scheme) as ann:
            await ann.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
            await ann.ask(prompt)
            await ann.answers(1)
            said = ann.answered.locator(".said")
            await expect(said.locator(".hljs-keyword").first).to_have_text("def")
            await expect(said.locator(".hljs-comment")).to_have_text("# twice as much")
            formula = said.locator("math").first
            await expect(formula).to_have_attribute("alttext", "a_1 * b_1")
            drawn = await formula.bounding_box()
            assert drawn is not None
            assert drawn["height"] > 10, "it is drawn as a formula"
            await expect(said.locator("code.language-math")).to_have_text(r"$\unknown_1$")
            align = "(cell) => getComputedStyle(cell).textAlign"
            assert await said.locator("td").last.evaluate(align) == "end"
            await said.get_by_role("button", name="Copy this code").click()
            copied = await ann.run("() => navigator.clipboard.readText()")
            assert (
                copied
                == "def double(number: int) -> int:  # twice as much\n    return 2 * number\n"
            )
            await ann.shoot(f"answer-{scheme}")
            await assert_accessible(ann.page, f"an answer with code, {scheme}")


async def test_the_highlighter_is_the_one_that_package_json_names() -> None:
    root = Path(__file__).parents[2]
    package = root / "node_modules" / "@highlightjs" / "cdn-assets"
    assert package.exists(), "fetch it with: make node"
    vendored = root / "server" / "page" / "vendor"
    assert (vendored / "highlight.js").read_bytes() == (
        package / "es" / "highlight.min.js"
    ).read_bytes()
    assert (vendored / "LICENSE").read_bytes() == (package / "LICENSE").read_bytes()
