"""The routes beside the websocket: the page, the drawings, the documents, health and metrics.

Everything here is small, read-only and known when the server starts, but for `/readyz` and `/metrics`.
Nothing needs a sign-in, so nothing of any thread or person is told. The websocket and the public
threads have modules of their own.
"""

import asyncio
import hmac
import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from importlib import resources
from typing import Final

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.typedefs import Handler, Middleware

from machines.models.errors import StorageError
from server.concurrency.rate_limit import TokenBucket
from server.http.asyncapi import asyncapi_document
from server.http.hosts import HostPolicy, Refusal, is_loopback_address, is_loopback_host
from server.http.page_routes import page_routes
from server.http.static import StaticFile
from server.http.two_ways import drawing_with_ways
from server.metrics import CONTENT_TYPE, Metrics
from server.sockets.pacing import PacedTransport

log = logging.getLogger(__name__)

MACHINE_NAMES: Final = (
    "chorus",
    "message",
    "connection",
    "thread",
    "invitation",
    "invite_link",
    "removal",
    "branch",
    "breaker",
    "lease",
)
"""Those that are drawn, in the order of the page."""

_READY_SECONDS: Final = 2.0
"""How long the journal may take to say that it can be written."""

NOT_WRITABLE: Final = "the journal is not writable"
"""A reason not to be ready."""

OPERATORS_ROUTES: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Also served under a loopback name where a public address is configured: probes run beside us."""

_DRAWING_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
    )
}
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Of every answer that does not say otherwise."""

_FORWARDED: Final = re.compile(
    "forwarded|via|x-forwarded.*|x-real-.*|x-client-.*|x-original-.*|x-cluster-client-ip"
    "|true-client-ip|cf-.*|fastly-client-ip",
    re.IGNORECASE,
)
"""Headers that a proxy adds."""

_TELL_EVERY_SECONDS: Final = 60.0
"""How often the log says that requests for another Host are refused."""


@dataclass(frozen=True)
class SiteInfo:
    """What the routes tell, and what they ask."""

    address: str
    """The server's URL, to print and to publish."""
    why_not_ready: Callable[[], Awaitable[str | None]]
    """What keeps the server from serving now, in words for an operator; None where nothing does. May raise
    StorageError, where the journal cannot be written."""
    metrics_token: str | None
    """Opens `/metrics` to others than loopback; None: to loopback alone."""
    behind_proxy: bool = False
    """Whether requests from loopback may be anybody's, which a proxy on this machine passes on."""


def http_routes(info: SiteInfo, metrics: Metrics) -> list[web.RouteDef]:
    """All routes but the websocket's. Reads the packaged files, some 300 KB, at once.

    Raises:
        FileNotFoundError: a drawing or the page is not in this installation.
    """
    files = {"/asyncapi.json": StaticFile(_asyncapi(info.address), "application/json")}
    for machine in MACHINE_NAMES:
        drawing = resources.files("diagrams").joinpath(f"{machine}.svg").read_bytes()
        files[f"/diagrams/{machine}.svg"] = StaticFile(drawing, "image/svg+xml", _DRAWING_HEADERS)
    handlers: dict[str, Handler] = {path: file.serve for path, file in files.items()}
    chorus = "/diagrams/chorus.svg"
    handlers[chorus] = drawing_with_ways(handlers[chorus], _DRAWING_HEADERS)
    return [
        *page_routes(),
        *(web.get(path, handler) for path, handler in handlers.items()),
        web.get("/healthz", _healthz),
        web.get("/readyz", _readyz(info.why_not_ready)),
        web.get("/metrics", _metrics(metrics, info)),
    ]


def below(path: str, routes: Iterable[web.RouteDef]) -> list[web.RouteDef]:
    """The routes again below `path`, for a proxy that passes it on as a browser asked for it.

    Most proxies take the path of a public address away; both kinds lead to the same page.
    """

    async def to_page(_request: web.Request) -> web.StreamResponse:
        raise web.HTTPPermanentRedirect(f"{path}/")

    return [
        web.get(path, to_page),
        *(web.route(each.method, f"{path}{each.path}", each.handler) for each in routes),
    ]


def guard(hosts: HostPolicy, clock: Callable[[], float]) -> Middleware:
    """The middleware of the whole application: 403 for another Host or Origin, and safe headers.

    Args:
        clock: seconds that never step back; bounds how often the log mentions a refused Host.
    """
    mentions = TokenBucket(1 / _TELL_EVERY_SECONDS, 1, clock)

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.body_exists:
            return _with_headers(_refuse_body(request))
        if any(len(request.headers.getall(name, ())) > 1 for name in (hdrs.HOST, hdrs.ORIGIN)):
            # A proxy may have judged the one, and we would judge the other.
            return _with_headers(_text("A request has one Host, and one Origin.", status=400))
        host, origin = request.headers.get(hdrs.HOST), request.headers.get(hdrs.ORIGIN)
        # Probes and Prometheus know one server of several by its own address; what these routes tell
        # to whom is theirs to say.
        is_probe = request.path in OPERATORS_ROUTES and origin is None
        if not is_probe and (refusal := hosts.refusal(host, origin)) is not None:
            if refusal is Refusal.HOST and mentions.try_take() is None:
                log.warning(
                    "a request for another address than %s was refused; if browsers know this "
                    "server by another, set CHORUS_PUBLIC_URL to it",
                    hosts.url,
                )
            return _with_headers(_text(refusal, status=403))
        try:
            response = await handler(request)
        except web.HTTPException as error:
            _with_headers(error)
            raise
        return _with_headers(response)

    return guarded


def _refuse_body(request: web.Request) -> web.Response:
    """Nothing here takes a body. It is not parsed to its end: chunks of one byte are a thousand
    calls in each read."""
    if isinstance(request.transport, PacedTransport):
        request.transport.discard()
    response = _text("No request has a body here.", status=413)
    response.force_close()
    return response


def _with_headers(response: web.StreamResponse) -> web.StreamResponse:
    if not response.prepared:  # a websocket is, and is over
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
    return response


# --- Documents -----------------------------------------------------------------------------------


def _asyncapi(address: str) -> bytes:
    return json.dumps(asyncapi_document(address), ensure_ascii=False, indent=1).encode()


# --- Health and metrics --------------------------------------------------------------------------


def _text(text: str, *, status: int = 200) -> web.Response:
    return web.Response(text=f"{text}\n", status=status, headers={"Cache-Control": "no-store"})


async def _healthz(_request: web.Request) -> web.Response:
    return _text("alive")


def _readyz(why_not_ready: Callable[[], Awaitable[str | None]]) -> Handler:
    async def readyz(_request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(_READY_SECONDS):
                reason = await why_not_ready()
        except (StorageError, TimeoutError) as error:
            log.warning("the journal is not ready: %s", error)
            reason = NOT_WRITABLE
        return _text("ready") if reason is None else _text(reason, status=503)

    return readyz


def _metrics(metrics: Metrics, info: SiteInfo) -> Handler:
    async def show(request: web.Request) -> web.Response:
        is_ours = _is_beside_us(request) and not info.behind_proxy
        if not is_ours and not _bears(request, info.metrics_token):
            return _text("Metrics are shown to loopback, or for CHORUS_METRICS_TOKEN.", status=403)
        return web.Response(
            body=metrics.text(),
            headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"},
        )

    return show


def _is_beside_us(request: web.Request) -> bool:
    """Whether it comes from this machine itself, as far as a request can tell: a proxy that runs here
    may give itself away by a header, or by the old version that nginx speaks unless told otherwise."""
    return (
        is_loopback_address(request.remote)
        and is_loopback_host(request.headers.get(hdrs.HOST))
        and request.version >= HttpVersion11
        and not any(map(_FORWARDED.fullmatch, request.headers))
    )


def _bears(request: web.Request, token: str | None) -> bool:
    scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if token is None or scheme.lower() != "bearer":
        return False
    # Compared as bytes in constant time: how long it takes tells nothing of the token.
    return hmac.compare_digest(given.strip().encode(errors="surrogateescape"), token.encode())
