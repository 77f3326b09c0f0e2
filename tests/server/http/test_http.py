"""The routes beside the websocket, asked over a real socket."""

import asyncio
import json
import posixpath
import re
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from aiohttp import ClientResponse, ClientSession, WSMsgType, web

from machines.models.breaker import BreakerStatus
from machines.models.errors import JournalError
from server.http.hosts import HostPolicy
from server.http.routes import (
    MACHINE_NAMES,
    NOT_WRITABLE,
    OPERATORS_ROUTES,
    SiteInfo,
    below,
    guard,
    http_routes,
)
from server.metrics import Metrics
from server.sockets.flusher import Flusher
from server.sockets.outbox import Outbox
from tests.support.eventually import PATIENCE

PATHS = (
    *("/", "/page/base.css", "/asyncapi.json", "/healthz", "/readyz", "/metrics"),
    *(f"/diagrams/{machine}.svg" for machine in MACHINE_NAMES),
)
PUBLIC = "https://chorus.example.org"


async def writable() -> None:
    """Nothing keeps it from serving."""


INFO = SiteInfo(
    address="http://127.0.0.1:8080",
    why_not_ready=writable,
    metrics_token=None,
)


@dataclass
class Site:
    """A served application and a client of it."""

    session: ClientSession
    metrics: Metrics
    port: int

    async def raw(self, *lines: str) -> str:
        """The answer to a request of these lines, which no client would send."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write("\r\n".join((*lines, "Connection: close", "", "")).encode())
        async with asyncio.timeout(PATIENCE):
            answer = await reader.read()
        writer.close()
        return answer.decode()

    async def get(self, path: str, **headers: str) -> ClientResponse:
        """GET; an underscore in a header's name is a hyphen."""
        return await self.session.get(
            f"http://127.0.0.1:{self.port}{path}",
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            allow_redirects=False,
        )


@asynccontextmanager
async def serving(
    info: SiteInfo = INFO,
    public_url: str | None = None,
    clock: Callable[[], float] = time.monotonic,
    below_path: str = "",
) -> AsyncIterator[Site]:
    metrics = Metrics()
    flusher = Flusher(asyncio.get_running_loop(), metrics.frames_written)

    async def websocket(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        assert request.transport is not None
        outbox = Outbox(ws, request.transport, flusher, on_overflow=lambda: None)
        outbox.send("through")
        await outbox.close(1000)
        return ws

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = int(listening.getsockname()[1])
        app = web.Application(middlewares=[guard(HostPolicy(public_url, port), clock)])
        routes = [web.get("/ws", websocket), *http_routes(info, metrics)]
        app.add_routes([*routes, *(below(below_path, routes) if below_path else [])])
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        await web.SockSite(runner, listening).start()
        try:
            async with ClientSession() as session:
                yield Site(session, metrics, port)
        finally:
            await runner.cleanup()


async def test_every_route_answers_with_headers_that_keep_a_page_in_its_place() -> None:
    async with serving() as site:
        for path in PATHS:
            response = await site.get(path)
            assert response.status == 200, path
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Referrer-Policy"] == "no-referrer"
            assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        missing = await site.get("/diagrams/other.svg")
        assert missing.status == 404
        assert missing.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_page_leads_only_to_files_that_are_served_and_holds_no_script_of_its_own() -> (
    None
):
    async with serving() as site:
        response = await site.get("/")
        page = await response.text()
        assert response.content_type == "text/html"
        assert "unsafe" not in response.headers["Content-Security-Policy"]
        for path in re.findall(r'(?:href|src)="([^"]+)"', page):
            assert not path.startswith("/"), "a proxy may give the page a path of its own"
            assert (await site.get(f"/{path}")).status == 200, f"the page leads to {path}"
        assert not re.search(r"<script>|<style|\sstyle=|\son\w+=", page), "the policy allows none"


async def test_every_module_of_the_page_imports_only_modules_that_are_served() -> None:
    async with serving() as site:
        waiting, known = ["/page/main.js"], set[str]()
        while waiting:
            path = waiting.pop()
            known.add(path)
            response = await site.get(path)
            assert response.status == 200, path
            assert response.content_type == "text/javascript"
            imported = re.findall(
                r'^(?:import|} from|export).*?"(\..+?)";$', await response.text(), re.MULTILINE
            )
            found = {posixpath.normpath(f"{path}/../{name}") for name in imported}
            waiting.extend(found - known - set(waiting))
        assert len(known) > 10


async def test_a_path_beside_the_page_leads_nowhere() -> None:
    async with serving() as site:
        for path in (
            "/page/",
            "/page/../http.py",
            "/page/%2e%2e/http.py",
            "/page/none.js",
            "/page/wire.d.ts",
        ):
            assert (await site.get(path)).status == 404


async def test_the_drawings_of_all_machines_are_served_and_can_run_nothing() -> None:
    async with serving() as site:
        for machine in MACHINE_NAMES:
            response = await site.get(f"/diagrams/{machine}.svg")
            assert response.content_type == "image/svg+xml"
            assert "sandbox" in response.headers["Content-Security-Policy"]
            assert f'id="state_{machine}_' in await response.text()


async def test_what_did_not_change_is_not_sent_again() -> None:
    async with serving() as site:
        first = await site.get("/diagrams/chorus.svg")
        again = await site.get("/diagrams/chorus.svg", If_None_Match=first.headers["ETag"])
        assert (again.status, await again.read()) == (304, b"")
        other = await site.get("/diagrams/chorus.svg", If_None_Match='"other"')
        assert other.status == 200


async def test_the_protocol_document_names_the_configured_address() -> None:
    async with serving(replace(INFO, address=PUBLIC)) as site:
        document = json.loads(await (await site.get("/asyncapi.json")).read())
        assert document["asyncapi"] == "3.0.0"
        assert document["servers"]["chorus"]["host"] == "chorus.example.org"


@pytest.mark.parametrize("path", [*PATHS, "/ws", "/nowhere"])
async def test_another_host_or_origin_is_refused_everywhere(path: str) -> None:
    async with serving() as site:
        for headers in (
            {"Host": "evil.example"},
            {"Host": f"evil.example:{site.port}"},
            {"Host": "127.0.0.1"},
        ):
            if path not in OPERATORS_ROUTES:
                assert (await site.get(path, **headers)).status == 403
        response = await site.get(path, Origin="http://evil.example")
        assert response.status == 403
        assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_refused_host_or_origin_is_told_which_setting_lets_it_in(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 0.0
    async with serving(clock=lambda: now) as site:
        for moment in (0.0, 59.0, 61.0):
            now = moment
            for _ in range(3):
                refused = await site.get("/", Host="chorus.lan:3000")
                assert "CHORUS_PUBLIC_URL" in await refused.text()
        refused = await site.get("/", Origin="http://evil.example")
        assert "CHORUS_ALLOWED_ORIGINS" in await refused.text()
    told = [each.getMessage() for each in caplog.records if "CHORUS" in each.getMessage()]
    assert len(told) == 2, "at most once a minute"
    assert all("CHORUS_PUBLIC_URL" in each and "chorus.lan" not in each for each in told)


async def test_two_hosts_or_two_origins_are_refused() -> None:
    async with serving() as site:
        host, evil = f"Host: 127.0.0.1:{site.port}", "Host: evil.example"
        own, other = f"Origin: http://127.0.0.1:{site.port}", "Origin: http://evil.example"
        for path in ("/", "/ws", "/healthz"):
            request = f"GET {path} HTTP/1.1"
            for headers in (
                (host, evil),
                (evil, host),
                (host, host),
                (host, own, other),
                (host, other, own),
                (host, own, own),
            ):
                answer = await site.raw(request, *headers)
                assert " 400 " in answer.partition("\r\n")[0], (path, headers, answer)
        assert (await site.raw("GET / HTTP/1.1", host, own)).startswith("HTTP/1.1 200 ")


async def test_below_a_path_is_all_that_is_above_it() -> None:
    async with serving(below_path="/chorus") as site:
        for path in PATHS:
            assert (await site.get(f"/chorus{path}")).status == 200, path
            assert (await site.get(path)).status == 200, path
        moved = await site.get("/chorus")
        assert (moved.status, moved.headers["Location"]) == (308, "/chorus/")
        assert (await site.get("/chorus/page/../http.py")).status == 404
        assert (await site.get("/chorus/", Host="evil.example")).status == 403


async def test_with_a_public_address_only_probes_may_use_a_loopback_name() -> None:
    async with serving(public_url=PUBLIC) as site:
        for path in PATHS:
            beside_us = path in {"/healthz", "/readyz", "/metrics"}
            assert (await site.get(path)).status == (200 if beside_us else 403), path
            outside = await site.get(path, Host="chorus.example.org")
            assert outside.status == (403 if path == "/metrics" else 200), path


async def test_probes_and_prometheus_may_name_a_server_by_its_own_address() -> None:
    info = replace(INFO, metrics_token="secret-1")
    async with serving(info, public_url=PUBLIC) as site:
        own = "10.0.0.7:8080"
        for path in ("/healthz", "/readyz"):
            assert (await site.get(path, Host=own)).status == 200
            assert (await site.get(path, Host=own, Origin="http://evil.example")).status == 403
        assert (await site.get("/metrics", Host=own)).status == 403
        token = {"Authorization": "Bearer secret-1"}
        assert (await site.get("/metrics", Host=own, **token)).status == 200
        assert (await site.get("/", Host=own, **token)).status == 403


async def test_the_guard_lets_a_websocket_through() -> None:
    async with (
        serving() as site,
        site.session.ws_connect(f"http://127.0.0.1:{site.port}/ws") as client,
    ):
        assert await client.receive_str(timeout=PATIENCE) == "through"
        assert (await client.receive(timeout=PATIENCE)).type is WSMsgType.CLOSE


async def test_ready_is_what_the_journal_says() -> None:
    async def refuses() -> str:
        return NOT_WRITABLE

    async def fails() -> str:
        raise JournalError("The disk is full.")

    async def hangs() -> None:
        await asyncio.Event().wait()

    for why_not_ready in (refuses, fails, hangs):
        async with serving(replace(INFO, why_not_ready=why_not_ready)) as site:
            response = await site.get("/readyz")
            assert response.status == 503
            assert await response.text() == "the journal is not writable\n"
            assert (await site.get("/healthz")).status == 200


async def test_metrics_are_shown_to_this_machine_but_not_through_a_proxy_on_it() -> None:
    async with serving() as site:
        assert (await site.get("/metrics")).status == 200
        for headers in (
            {"X_Forwarded_For": "198.51.100.1"},
            {"Forwarded": "for=198.51.100.1"},
            {"Via": "1.1 proxy"},
            {"X_Forwarded_Proto": "https"},
            {"X_Real_IP": "198.51.100.1"},
            {"CF_Connecting_IP": "198.51.100.1"},
        ):
            assert (await site.get("/metrics", **headers)).status == 403
        # So nginx asks where it is told nothing: an older HTTP, a loopback Host, no header of its own.
        asked = await site.raw("GET /metrics HTTP/1.0", f"Host: 127.0.0.1:{site.port}")
        assert " 403 " in asked.partition("\r\n")[0]


async def test_behind_a_proxy_metrics_are_shown_for_the_token_alone() -> None:
    info = replace(INFO, behind_proxy=True, metrics_token="secret-1")
    async with serving(info, public_url=PUBLIC) as site:
        assert (await site.get("/metrics")).status == 403
        assert (await site.get("/metrics", Authorization="Bearer secret-1")).status == 200
        assert (await site.get("/healthz")).status == 200


async def test_metrics_are_shown_to_others_for_the_token_alone() -> None:
    async with serving(replace(INFO, metrics_token="secret-1"), public_url=PUBLIC) as site:

        async def status(authorization: str) -> int:
            response = await site.get(
                "/metrics", Host="chorus.example.org", Authorization=authorization
            )
            return response.status

        assert await status("Bearer secret-1") == 200
        assert await status("bearer  secret-1") == 200
        for wrong in ("Bearer", "Bearer secret", "Bearer secret-12", "secret-1", "Basic secret-1"):
            assert await status(wrong) == 403
        assert await status("Bearer sécret") == 403


async def test_what_was_counted_stands_in_the_metrics() -> None:
    async with serving() as site:
        metrics = site.metrics
        metrics.watch_connections(lambda: 7)
        metrics.watch_memory_lag(lambda: 3)
        metrics.watch_memory_away(lambda: True)
        metrics.watch_breaker(lambda: BreakerStatus.HALF_OPEN)
        metrics.run_recovers("attempt_delayed")
        metrics.frame_received()
        metrics.frames_written(5, 1_000)
        metrics.refused("bad_json")
        metrics.watch_outboxes(lambda: 512)
        metrics.outbox_given_up()
        metrics.run_ended("finished")
        metrics.step_completed("action", 0.2)
        metrics.committed(4)
        metrics.tokens_used(100, 20)
        response = await site.get("/metrics")
        assert response.content_type == "text/plain"
        lines = (await response.text()).splitlines()
        for line in (
            "chorus_connections 7.0",
            "chorus_outbox_bytes 512.0",
            "chorus_outboxes_given_up_total 1.0",
            "chorus_memory_lag_tasks 3.0",
            "chorus_memory_away 1.0",
            'chorus_breaker_state{state="closed"} 0.0',
            'chorus_breaker_state{state="open"} 0.0',
            'chorus_breaker_state{state="half_open"} 1.0',
            'chorus_run_recoveries_total{cause="attempt_delayed"} 1.0',
            "chorus_frames_received_total 1.0",
            "chorus_frames_sent_total 5.0",
            "chorus_bytes_sent_total 1000.0",
            'chorus_errors_total{code="bad_json"} 1.0',
            'chorus_runs_total{status="finished"} 1.0',
            'chorus_step_seconds_count{step="action"} 1.0',
            "chorus_journal_commit_entries_count 1.0",
            "chorus_journal_commit_entries_sum 4.0",
            'chorus_tokens_total{kind="prompt"} 100.0',
            'chorus_tokens_total{kind="completion"} 20.0',
        ):
            assert line in lines


async def test_two_servers_in_one_process_count_apart() -> None:
    first, second = Metrics(), Metrics()
    first.frame_received()
    assert b"chorus_frames_received_total 1.0" in first.text()
    assert b"chorus_frames_received_total 0.0" in second.text()
