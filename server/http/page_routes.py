"""The web page as routes: each file of `server/page` under `/page/`, and its index at `/`.

What the page does lives in those files; here is only how their bytes reach a browser. Every file is
known before the first request, so no path of a request ever touches the disk.
"""

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from aiohttp import web

from server.http.static import StaticFile

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
}

_CONTENT_TYPES: Final = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}


def page_routes() -> list[web.RouteDef]:
    """`/` and everything below `/page/`. Reads the files: call it once, before serving.

    Raises:
        FileNotFoundError: the page is not in this installation.
        KeyError: likewise, its index.
    """
    known = dict(_read(files("server").joinpath("page"), ""))
    index = known.pop(INDEX)
    return [
        web.get("/", index.serve),
        *(web.get(f"/page/{path}", file.serve) for path, file in sorted(known.items())),
    ]


def _read(folder: Traversable, prefix: str) -> Iterator[tuple[str, StaticFile]]:
    """The files of the page by their path below `server/page`; other kinds are left out."""
    for entry in folder.iterdir():
        path = f"{prefix}{entry.name}"
        if entry.is_dir():
            yield from _read(entry, f"{path}/")
            continue
        content_type = _CONTENT_TYPES.get(entry.name.rpartition(".")[2])
        if content_type is not None:
            yield path, StaticFile(entry.read_bytes(), content_type, _HEADERS)
