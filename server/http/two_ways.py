"""The drawing of the Chorus chart, with two ways through it where a request names some.

The ways are in the request, so that the drawing tells nothing of any run to who does not know them.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from diagrams.two_ways import with_two_ways

PARTS: Final = ("common", "one", "other")
"""Parameters of the query, each ids of edges with commas between."""

MAX_CHARACTERS: Final = 8_000
"""Of each of them; a run takes some dozens of edges."""

_EDGES: Final = re.compile(r"[A-Za-z0-9_]+(,[A-Za-z0-9_]+)*")


def drawing_with_ways(plain: Handler, headers: Mapping[str, str]) -> Handler:
    """The handler of the chart's drawing; `plain` serves it without ways."""
    svg = resources.files("diagrams").joinpath("chorus.svg").read_text(encoding="utf-8")

    @lru_cache(maxsize=16)
    def drawn(common: tuple[str, ...], one: tuple[str, ...], other: tuple[str, ...]) -> str:
        return with_two_ways(svg, common=common, one=one, other=other)

    async def serve(request: web.Request) -> web.StreamResponse:
        named = {name: request.query[name] for name in PARTS if request.query.get(name)}
        if not named:
            return await plain(request)
        try:
            body = drawn(*(_edges(named.get(name, "")) for name in PARTS))
        except ValueError:
            raise web.HTTPBadRequest(text="The ways name no edges of the drawing.\n") from None
        return web.Response(
            text=body,
            content_type="image/svg+xml",
            headers={"Cache-Control": "no-cache", **headers},
        )

    return serve


def _edges(text: str) -> tuple[str, ...]:
    """Raises ValueError where it is no list of ids."""
    if not text:
        return ()
    if len(text) > MAX_CHARACTERS or not _EDGES.fullmatch(text):
        raise ValueError("it is no list of edges")
    return tuple(dict.fromkeys(text.split(",")))
