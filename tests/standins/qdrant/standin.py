"""The server: reads a request, lets a fault hit it, refuses or answers it.

Beside Qdrant's routes it has `/standin/faults` (GET, PUT with a list of faults, DELETE) and
`/standin/counts`, which no fault ever hits.
"""

import asyncio
import hmac
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from tests.standins.qdrant.answers import NEWEST, Answers, Route, done, plain
from tests.standins.qdrant.faults import Does, Fault, Faults
from tests.standins.qdrant.shapes import BODIES, Refused, body_of, verify_parameters

_DRIP_SECONDS: Final = 0.01

_FAULTS: Final = TypeAdapter(tuple[Fault, ...])

_MOST_BYTES: Final = 32 * 1024 * 1024
"""Of a body, as the real server's default has it."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class StandIn:
    """A stand-in of a Qdrant server: `appear`, and what it says and does is that of one."""

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        version: str = NEWEST,
        api_key: str | None = None,
        folder: Path | None = None,
    ) -> None:
        """Nothing listens yet. A `port` of 0 is any free one, which stays the same from then on."""
        self.answers = Answers(version, folder)
        self.faults = Faults()
        self.requests: Counter[str] = Counter()
        """By kind and parameters, as `batch?ordering=strong&wait=true`."""
        self.under_way = 0
        """Requests that are not answered yet."""
        self.most_at_once = 0
        """The most that ever were."""
        self._host = host
        self._port = port
        self._api_key = api_key
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """For CHORUS_QDRANT_URL, once it has appeared."""
        return f"http://{self._host}:{self._port}"

    async def appear(self) -> None:
        """Listen, at the same place as before."""
        app = web.Application(client_max_size=_MOST_BYTES)
        app.router.add_get("/", self._whole)
        for probe in ("/healthz", "/livez", "/readyz"):
            app.router.add_get(probe, _well)
        app.router.add_route("*", "/standin/faults", self._set_faults)
        app.router.add_get("/standin/counts", self._counts)
        for route in self.answers.routes():
            app.router.add_route(
                route.method, f"/collections/{{name}}{route.path}", self._handler(route)
            )
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        self._port = int(self._runner.addresses[0][1])

    def count(self, collection: str) -> int:
        """Points in a collection; 0 where it is missing."""
        return self.answers.count(collection)

    def lose_everything(self) -> None:
        """As a server that comes back with an empty disk."""
        self.answers.lose_everything()

    async def disappear(self) -> None:
        """Refuse connections, and end those that are open."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    # Requests

    async def _whole(self, request: web.Request) -> web.StreamResponse:
        told = {"title": "qdrant - vector search engine", "version": self.answers.version}
        return await self._hit(request, False, lambda: web.json_response({**told, "commit": None}))

    def _handler(self, route: Route) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            said = "&".join(f"{key}={value}" for key, value in sorted(request.query.items()))
            self.requests[f"{route.kind}?{said}" if said else route.kind] += 1
            if not self._has_key(request):
                return _refusal(401, "Must provide an API key or an Authorization bearer token")
            raw = await request.read()

            def answer() -> web.Response:
                try:
                    return _result(self._answer(route, request, raw))
                except Refused as refused:
                    return _refusal(refused.status, str(refused))

            return await self._hit(request, route.writes, answer)

        return handle

    def _answer(self, route: Route, request: web.Request, raw: bytes) -> object:
        verify_parameters(route.kind, request.query)
        if route.kind in BODIES:
            body_of(route.kind, raw)
        elif raw:
            raise Refused(400, "There is a body, and none is expected")
        name = request.match_info["name"]
        if route.kind not in {"exists", "create", "drop"} and not self.answers.has(name):
            raise Refused(404, f"Not found: Collection `{name}` doesn't exist!")
        try:
            return route.answer(name, json.loads(raw) if raw else None)
        except ValueError as error:
            raise Refused(400, f"Wrong input: {error}") from error

    def _has_key(self, request: web.Request) -> bool:
        if self._api_key is None:
            return True
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        given = request.headers.get("api-key", bearer)
        return hmac.compare_digest(given.encode(), self._api_key.encode())

    async def _hit(
        self, request: web.Request, writes: bool, answer: Callable[[], web.Response]
    ) -> web.StreamResponse:
        """The answer, or what a fault makes of it."""
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            return await self._answered(request, writes, answer)
        finally:
            self.under_way -= 1

    async def _answered(
        self, request: web.Request, writes: bool, answer: Callable[[], web.Response]
    ) -> web.StreamResponse:
        fault = self.faults.hits(writes=writes)
        match fault.does if fault else None:
            case Does.STATUS if fault:
                headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
                return _refusal(fault.status, "as it was told to", headers)
            case Does.DELAY if fault:
                await asyncio.sleep(fault.seconds)
                return answer()
            case Does.CUT:
                return _cut(request)
            case Does.LOSE:
                answer()
                return _cut(request)
            case Does.STALL:
                await asyncio.Event().wait()
            case Does.DRIP:
                return await _drip(request)
            case Does.UNSURE if writes:
                made = answer()
                unsure = done("wait_timeout")
                several = isinstance(json.loads(made.text or "{}").get("result"), list)
                return made if made.status != 200 else _result([unsure] if several else unsure)
            case _:
                pass
        return answer()

    # Its own routes

    async def _set_faults(self, request: web.Request) -> web.StreamResponse:
        match request.method:
            case "PUT":
                try:
                    self.faults.set(*_FAULTS.validate_json(await request.read()))
                except ValidationError as error:
                    return _refusal(400, str(error))
            case "DELETE":
                self.faults.set()
            case "GET":
                pass
            case _:
                return _refusal(405, "GET, PUT or DELETE")
        return web.json_response([each.model_dump(mode="json") for each in self.faults.now])

    async def _counts(self, _: web.Request) -> web.StreamResponse:
        return web.json_response(
            {
                "requests": self.requests,
                "failed": self.faults.failed,
                "created": self.answers.created,
            }
        )


async def _well(_: web.Request) -> web.StreamResponse:
    return web.Response(text="healthz check passed")


def _result(result: object) -> web.Response:
    return web.json_response({"result": plain(result), "status": "ok", "time": 0.0})


def _refusal(status: int, why: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(
        {"status": {"error": why}, "time": 0.0}, status=status, headers=headers
    )


def _cut(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def _drip(request: web.Request) -> web.StreamResponse:
    """Answer as if it were well, and go on until the caller is gone."""
    response = web.StreamResponse(headers={"content-type": "application/json"})
    await response.prepare(request)
    while True:
        await response.write(b" ")  # white space, which JSON may begin with
        await asyncio.sleep(_DRIP_SECONDS)
