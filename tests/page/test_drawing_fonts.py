"""The drawings look alike whatever fonts a machine has: no label leaves its box."""

from pathlib import Path

import pytest
from playwright.async_api import Browser

import diagrams
from machines.charts import all_charts

pytestmark = pytest.mark.asyncio(loop_scope="module")

# DejaVu is what a machine without Helvetica and Arial draws with; its monospaced face is wider still.
FONTS = ("DejaVu Sans", "DejaVu Sans Mono", "sans-serif")

OUTSIDE = """() => {
  const outside = [];
  for (const text of document.querySelectorAll("svg text")) {
    const room = Number(text.getAttribute("textLength"));
    const { x, width } = text.getBBox();
    if (width > room + 1) outside.push(`${text.textContent} is ${width} wide, and has ${room}`);
    const row = text.closest("g.edge")?.querySelector(":scope > .row")?.getBBox();
    if (row && (x < row.x - 1 || x + width > row.x + row.width + 1))
      outside.push(`${text.textContent} leaves its row`);
  }
  return outside;
}"""


@pytest.mark.parametrize("font", FONTS)
@pytest.mark.parametrize("machine", [chart.machine for chart in all_charts()])
async def test_no_label_leaves_its_box(browser: Browser, machine: str, font: str) -> None:
    drawing = Path(diagrams.__file__).with_name(f"{machine}.svg").read_text(encoding="utf-8")
    page = await browser.new_page()
    try:
        await page.set_content(
            f"<style>text {{ font-family: '{font}' !important }}</style>{drawing}"
        )
        assert await page.locator("svg text").count() > 0
        assert await page.evaluate(OUTSIDE) == []
    finally:
        await page.close()
