"""The web server: routes, sockets and an orderly end, in front of the services."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import lru_cache

from aiohttp import web
from pydantic_core import to_json

from machines.models.errors import StorageError
from machines.models.lease import LeaseStatus
from machines.models.limits import (
    MAX_CONTENT_LENGTH,
    MAX_FRAME_BYTES,
    MAX_INSTRUCTIONS_LENGTH,
    MAX_NAME_LENGTH,
)
from machines.models.wire import frames, views
from server.addresses import is_loopback
from server.concurrency.rate_limit import TokenBucket
from server.http.hosts import HostPolicy, address_of, subscriber_of
from server.http.routes import NOT_WRITABLE, SiteInfo, below, guard, http_routes
from server.http.shared_threads import PATH, SharedThreads
from server.services import Services
from server.sessions.ports import ConnectionOrigin
from server.sockets.budget import OutboxBudget
from server.sockets.flusher import Flusher
from server.sockets.pacing import PacedSite
from server.sockets.websocket import HEARTBEAT_SECONDS, Sockets, SocketServices
from server.wire.codec import encode_server_frame

GRACE_SECONDS = 10.0
"""How long requests that are under way may take at the end."""

HANDSHAKE_SECONDS = 30.0
"""How long a connection may take to say what it wants, and stay open between requests."""

LINGERING_SECONDS = 1.0
"""How long a connection stays whose request has a body, so that the refusal arrives."""

WRITE_CHECK_SECONDS = 1.0

EPOCH_SECONDS = 1.0
"""How old the epoch may be that a connection is greeted with; the frame is encoded as often."""

_MIB = 1_048_576

SOCKETS = web.AppKey("sockets", Sockets)


@asynccontextmanager
async def serve_web(services: Services, listening: socket.socket) -> AsyncIterator[str]:
    """Serve on a bound socket until the context ends; gives the page's address."""
    port = int(listening.getsockname()[1])
    settings = services.settings
    hosts = HostPolicy(settings.public_url, port, settings.allowed_origins)
    address = hosts.url if settings.public_url else f"http://{_named(settings.host)}:{port}"
    metrics = services.metrics
    budget = OutboxBudget(settings.outbox_mib * _MIB, metrics.outbox_given_up)
    metrics.watch_outboxes(lambda: budget.used)
    sockets = Sockets(
        SocketServices(
            sessions=services.sessions,
            flusher=Flusher(asyncio.get_running_loop(), metrics.frames_written, budget),
            hello=_hello(services),
            origin=_origins(hosts, services),
            new_bucket=_frame_buckets(services),
            connections_per_address=settings.connections_per_address,
            compress=settings.compression,
            on_frame=metrics.frame_received,
            on_refusal=services.sessions.services.on_refusal,
        )
    )
    shared = SharedThreads(
        services.journal, services.renderer, _addresses(services), services.environment.monotonic
    )
    app = web.Application(middlewares=[guard(hosts, services.environment.monotonic)])
    app[SOCKETS] = sockets
    metrics.watch_connections(lambda: len(sockets))
    metrics.watch_memory_lag(lambda: services.memory_service.waiting)
    routes = [
        web.get("/ws", sockets.handle),
        web.get(PATH, shared.show),
        *http_routes(_site_info(services, address), metrics),
    ]
    app.add_routes(routes)
    if hosts.path:
        app.add_routes(below(hosts.path, routes))
    runner = web.AppRunner(
        app,
        handle_signals=False,
        access_log=None,
        shutdown_timeout=GRACE_SECONDS,
        keepalive_timeout=HANDSHAKE_SECONDS,
        lingering_time=LINGERING_SECONDS,
    )
    await runner.setup()
    try:
        await PacedSite(runner, listening).start()
        yield address
        await sockets.close_all()
    finally:
        await runner.cleanup()


def _hello(services: Services) -> Callable[[], Awaitable[str]]:
    settings = services.settings
    limits = views.LimitsView(
        max_frame_bytes=MAX_FRAME_BYTES,
        max_prompt_chars=MAX_CONTENT_LENGTH,
        max_name_chars=MAX_NAME_LENGTH,
        max_instructions_chars=MAX_INSTRUCTIONS_LENGTH,
        prompts_per_minute=settings.prompts_per_minute,
        frames_per_second=settings.frames_per_second,
    )
    model = views.ModelInfo(name=services.model.model.name, offline=services.model.model.offline)
    embedder = views.EmbedderInfo(
        name=services.embedder.embedder.name, semantic=services.embedder.embedder.semantic
    )

    def encoded(epoch: str, server_time: datetime) -> str:
        return encode_server_frame(
            frames.HelloFrame(
                data=frames.HelloData(
                    server_time=server_time,
                    epoch=epoch,
                    limits=limits,
                    model=model,
                    models=services.model.names,
                    embedder=embedder,
                    heartbeat_seconds=HEARTBEAT_SECONDS,
                )
            )
        )

    known: tuple[float, int, str, str] | None = None
    """When the epoch was asked for, after which loss of commits, and the frame before and behind its time."""

    async def hello() -> str:
        nonlocal known
        monotonic = services.environment.monotonic()
        losses = services.epochs.losses
        if known is None or monotonic - known[0] > EPOCH_SECONDS or known[1] != losses:
            now = services.environment.now()
            frame = encoded(await services.journal.epoch(), now)
            before, behind = frame.split(_json(now), 1)
            known = (monotonic, losses, before, behind)
        _, _, before, behind = known
        return f"{before}{_json(services.environment.now())}{behind}"

    return hello


def _json(moment: datetime) -> str:
    """As frames spell a moment in UTC."""
    return to_json(moment).decode()


def _frame_buckets(services: Services) -> Callable[[], TokenBucket]:
    rate = services.settings.frames_per_second
    return lambda: TokenBucket(rate, max(2 * rate, 1), services.environment.monotonic)


def _addresses(services: Services) -> Callable[[web.Request], str]:
    """Who asks, as limits count them."""
    proxies = services.settings.trusted_proxies

    def address(request: web.Request) -> str:
        forwarded_for = tuple(request.headers.getall("X-Forwarded-For", []))
        return subscriber_of(address_of(request.remote or "", forwarded_for, proxies))

    return address


def _origins(
    hosts: HostPolicy, services: Services
) -> Callable[[web.Request], ConnectionOrigin | None]:
    proxies = services.settings.trusted_proxies

    # Many connections have one origin, and each keeps it as long as it lasts.
    @lru_cache(maxsize=1_024)
    def at(host: str, peer: str, forwarded_for: tuple[str, ...]) -> ConnectionOrigin:
        return ConnectionOrigin(
            host=hosts.host_for_statement(host),
            public_url=hosts.url_for_statement(host),
            address=subscriber_of(address_of(peer, forwarded_for, proxies)),
        )

    def origin(request: web.Request) -> ConnectionOrigin | None:
        host = request.headers.get("Host", "")
        if not hosts.check(host, request.headers.get("Origin")):
            return None
        forwarded_for = tuple(request.headers.getall("X-Forwarded-For", []))
        return at(host, request.remote or "", forwarded_for)

    return origin


def _readiness(services: Services) -> Callable[[], Awaitable[str | None]]:
    """What keeps this server from serving: its lease is not live, or the journal cannot be written, which is
    tried at most once in `WRITE_CHECK_SECONDS`."""
    known: tuple[float, bool] | None = None

    async def why_not() -> str | None:
        nonlocal known
        if (status := services.takeover.status) is not LeaseStatus.LIVE:
            return f"the lease is {status.value}"
        now = services.environment.monotonic()
        if known is None or now - known[0] > WRITE_CHECK_SECONDS:
            try:
                await services.journal.note("write_check", services.environment.now().isoformat())
            except StorageError:
                known = (now, False)
            else:
                known = (now, True)
        return None if known[1] else NOT_WRITABLE

    return why_not


def _site_info(services: Services, address: str) -> SiteInfo:
    settings = services.settings
    token = settings.metrics_token
    return SiteInfo(
        address=address,
        why_not_ready=_readiness(services),
        metrics_token=token.get_secret_value() if token else None,
        behind_proxy=bool(settings.trusted_proxies) or not is_loopback(address),
    )


def _named(host: str) -> str:
    """A host as it stands in an address; every interface is reached by loopback here."""
    if host in {"0.0.0.0", "::", ""}:  # noqa: S104 - compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
