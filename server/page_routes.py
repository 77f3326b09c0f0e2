"""The web page as files: read once, served with a strict policy and revalidated by ETag.

What the page does lives in `server/page`; here is only how its bytes reach a browser. Every file is
known before the first request, so no path of a request ever touches the disk.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from aiohttp import web

INDEX: Final = "index.html"

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # Markup reaches the document through one function of the page alone (markup.js).
        "require-trusted-types-for 'script'",
        "trusted-types chorus-markup",
    )
)

_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Kept, and asked for again each time: a new server never meets an old module.
    "Cache-Control": "no-cache",
}

_CONTENT_TYPES: Final = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file of the page, ready to be sent."""

    body: bytes
    content_type: str
    etag: str
    """Without its quotes."""


def page_routes() -> list[web.RouteDef]:
    """`/` and everything below `/page/`. Reads the files: call it once, before serving."""
    known = dict(_read(files("server").joinpath("page"), ""))

    async def index(request: web.Request) -> web.Response:
        return _respond(request, known[INDEX])

    async def file(request: web.Request) -> web.Response:
        found = known.get(request.match_info["path"])
        if found is None:
            raise web.HTTPNotFound(text="The page has no such file.\n", headers=_HEADERS)
        return _respond(request, found)

    return [web.get("/", index), web.get("/page/{path:.+}", file)]


def _respond(request: web.Request, found: PageFile) -> web.Response:
    response = web.Response(headers=_HEADERS)
    response.etag = found.etag
    known_to_client = request.if_none_match or ()
    if any(tag.value in (found.etag, "*") for tag in known_to_client):
        response.set_status(304)
        return response
    response.body = found.body
    response.content_type = found.content_type
    response.charset = "utf-8"
    return response


def _read(folder: Traversable, prefix: str) -> Iterator[tuple[str, PageFile]]:
    """The files of the page by their path below `server/page`; other kinds are left out."""
    for entry in folder.iterdir():
        path = f"{prefix}{entry.name}"
        if entry.is_dir():
            yield from _read(entry, f"{path}/")
            continue
        content_type = _CONTENT_TYPES.get(entry.name.rpartition(".")[2])
        if content_type is not None:
            body = entry.read_bytes()
            yield path, PageFile(body, content_type, sha256(body).hexdigest()[:32])
