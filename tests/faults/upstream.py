"""Runs that meet an endpoint which does something wrong, held against the catalogue.

Each fault is met by real runs in a real server, over the real SDK and real HTTP: once by a prompt
whose next attempt is answered, and for good by another. What followers were sent, what the journal
keeps and what the model read must be as `tests.faults.upstream_faults` says.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
import trustme
from aiohttp import web

from server.services import Services
from tests.faults.campaign import Campaign, scenario
from tests.faults.upstream_faults import (
    FAMILIES,
    FAULTS,
    HASTY,
    REJECTED,
    UNAVAILABLE,
    Fault,
)
from tests.support.client import Data
from tests.support.follower import MAX_ATTEMPTS, Follower, edges_of, services_with_model
from tests.support.obedient_model import ObedientModel, answer_to, obedient_model
from tests.support.scripted_endpoint import hangs_up

AT_ONCE: Final = 12
"""Faults that are met at the same time: a run is waited for while these are at work, not all."""


async def meet(fault: Fault, services: Services, model: ObedientModel) -> None:
    """Let runs meet the fault. AssertionError says what the run, its followers or the journal lack."""
    if fault.edge is None:
        await _is_not_minded(fault, services, model)
    elif fault.too_long:
        await asyncio.gather(
            _is_shortened(fault, services, model), _stays_too_long(fault, services, model)
        )
    elif fault.retried:
        await asyncio.gather(_passes(fault, services, model), _lasts(fault, services, model))
    else:
        await _ends_at_once(fault, services, model)


async def _is_not_minded(fault: Fault, services: Services, model: ObedientModel) -> None:
    prompt = f"What of {fault.name}?"
    model.plan(prompt, fault.step, fault.does)
    run = await Follower(services, prompt).ask()
    ended = await run.end()
    assert ended["status"] == "finished", ended
    assert run.entries("recovering") == []
    for completed in run.entries("completed"):
        output = completed["output"]
        assert not output.get("selected_priors"), "an id that the model invented was taken"
        assert not output.get("citations"), "a label that the model invented was resolved"


async def _passes(fault: Fault, services: Services, model: ObedientModel) -> None:
    """The fault strikes once: the step is tried again, and the run ends well."""
    prompt = f"What of {fault.name}, once?"
    model.plan(prompt, fault.step, fault.does)
    run = await Follower(services, prompt).ask()
    ended = await run.end()
    assert ended["status"] == "finished", ended
    recovering = run.entries("recovering")
    assert len(recovering) == 1, f"one failed attempt gave {recovering}"
    _check_recovering(fault, recovering[0], attempt=1)
    again = [each for each in run.entries("started") if each["attempt"] == 2]
    assert [each["step"] for each in again][:1] == [fault.step]
    assert await run.kept("recovering") == recovering, "the journal tells it otherwise"
    reads = model.reads(prompt)
    assert [each.step for each in reads].count(fault.step) == 2
    _check_nothing_leaks(fault, [each.text for each in reads])
    (_, answer) = await run.messages()
    assert answer["content"] == answer_to(prompt)


async def _lasts(fault: Fault, services: Services, model: ObedientModel) -> None:
    """The fault strikes at every attempt: the run ends when they are used up, and says why."""
    prompt = f"What of {fault.name}, for good?"
    model.plan(prompt, fault.step, *[fault.does] * MAX_ATTEMPTS)
    run = await Follower(services, prompt).ask()
    ended = await run.end()
    _check_end(fault, ended, f"edge_chorus_{fault.edge}_running_failed_2")
    recovering = run.entries("recovering")
    assert len(recovering) == MAX_ATTEMPTS - 1, f"attempts are bounded, and gave {recovering}"
    for attempt, each in enumerate(recovering, start=1):
        _check_recovering(fault, each, attempt=attempt)
    assert await run.kept("failed") == [ended], "the journal tells it otherwise"
    reads = model.reads(prompt)
    assert [each.step for each in reads].count(fault.step) == MAX_ATTEMPTS
    _check_nothing_leaks(fault, [each.text for each in reads])
    assert len(await run.messages()) == 1, "a failure became a message"


async def _is_shortened(fault: Fault, services: Services, model: ObedientModel) -> None:
    """The request is too long once: it is asked in half of the context, and the run ends well."""
    prompt = f"What of {fault.name}, once?"
    model.plan(prompt, fault.step, fault.does)
    run = await Follower(services, prompt).ask()
    ended = await run.end()
    assert ended["status"] == "finished", ended
    await _check_shortened(fault, run)


async def _stays_too_long(fault: Fault, services: Services, model: ObedientModel) -> None:
    """Half of the context is too long as well: the run ends, and says why."""
    prompt = f"What of {fault.name}, for good?"
    model.plan(prompt, fault.step, *[fault.does] * 2)
    run = await Follower(services, prompt).ask()
    _check_end(fault, await run.end(), f"edge_chorus_{fault.edge}_running_failed")
    await _check_shortened(fault, run)
    assert len(model.reads(prompt)) == 2, "the endpoint was asked once more"


async def _check_shortened(fault: Fault, run: Follower) -> None:
    (shortened,) = run.entries("recovering")
    assert (shortened["step"], shortened["code"]) == (fault.step, fault.code), shortened
    assert edges_of(shortened) == [f"edge_chorus_{fault.edge}_stable_recovering_2"]
    assert shortened["retry_in_ms"] == 0, "it waits for nothing"
    _check_words(shortened)
    assert await run.kept("recovering") == [shortened], "the journal tells it otherwise"


async def _ends_at_once(fault: Fault, services: Services, model: ObedientModel) -> None:
    """No other attempt can help: the run ends with the first."""
    prompt = f"What of {fault.name}?"
    model.plan(prompt, fault.step, fault.does)
    run = await Follower(services, prompt).ask()
    ended = await run.end()
    _check_end(fault, ended, f"edge_chorus_{fault.edge}_running_failed")
    assert run.entries("recovering") == []
    assert len(model.reads(prompt)) == 1, "the endpoint was asked again"
    assert await run.kept("failed") == [ended]
    assert len(await run.messages()) == 1, "a failure became a message"


def _check_recovering(fault: Fault, data: Data, *, attempt: int) -> None:
    assert (data["step"], data["attempt"], data["code"]) == (fault.step, attempt, fault.code), data
    assert edges_of(data) == [f"edge_chorus_{fault.edge}_stable_recovering"]
    assert fault.wait_ms <= data["retry_in_ms"] <= fault.longest_ms, data["retry_in_ms"]
    _check_words(data)
    _check_partial(fault, data)


def _check_end(fault: Fault, data: Data, edge: str) -> None:
    assert (data["status"], data["step"], data["code"]) == ("failed", fault.step, fault.code), data
    assert edges_of(data) == [edge]
    assert fault.says in data["message"], data["message"]
    _check_words(data)
    _check_partial(fault, data)


def _check_words(data: Data) -> None:
    message = data["message"]
    assert message, "people are told nothing"
    assert "SECRET" not in json.dumps(data), "what the upstream wrote reached people"


def _check_partial(fault: Fault, data: Data) -> None:
    partial = data.get("partial") or ""
    assert partial.startswith(fault.partial), f"of {fault.partial!r} the journal has {partial!r}"
    assert fault.partial or not partial, f"nobody read {partial!r}"


def _check_nothing_leaks(fault: Fault, texts: Sequence[str]) -> None:
    if fault.partial.strip():
        leaks = [text for text in texts if fault.partial.strip() in text]
        assert not leaks, f"the text of a failed attempt was read by the model: {leaks[0]}"


async def meet_all(folder: Path, faults: Sequence[Fault] = FAULTS) -> dict[str, str]:
    """Meet the faults, some at once; what went wrong, by the name of the fault. Empty is good.

    One policy comes after the other: what all the others cost must not use up the little patience that
    a hasty one has with good answers.
    """
    wrong: dict[str, str] = {}
    places = asyncio.Semaphore(AT_ONCE)
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(obedient_model())
        policies = {id(each.model_policy): each.model_policy for each in faults}.values()
        for number, model_policy in enumerate(policies):
            services = services_with_model(model.url, folder / f"services-{number}", model_policy)
            opened = await stack.enter_async_context(services)
            # What was served once is not what a refusal without words is about.
            served = await Follower(opened, "What did you serve before?").ask()
            assert (await served.end())["status"] == "finished"
            met = [each for each in faults if each.model_policy is model_policy]
            outcomes = await asyncio.gather(
                *(_outcome(each, opened, model, places) for each in met)
            )
            wrong |= {each.name: said for each, said in zip(met, outcomes, strict=True) if said}
    return wrong


async def _outcome(
    fault: Fault, services: Services, model: ObedientModel, places: asyncio.Semaphore
) -> str:
    try:
        async with places:
            await meet(fault, services, model)
    except AssertionError as wrong:
        return f"{wrong}"
    return ""


# --- Endpoints that cannot be reached ------------------------------------------------------------

Endpoint = Callable[[], AbstractAsyncContextManager[str]]
"""Something that listens, or does not, for a while; gives its address."""


@asynccontextmanager
async def _deaf_port(answer: bytes) -> AsyncIterator[int]:
    """A port that says these bytes to whoever connects, and hangs up."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def refused() -> AsyncIterator[str]:
    """Nobody listens there."""
    async with _deaf_port(b"") as port:
        pass
    yield f"http://127.0.0.1:{port}/v1"


@asynccontextmanager
async def unknown_name() -> AsyncIterator[str]:
    """DNS has no such host; `.invalid` is reserved for that."""
    yield "http://no-such-host.invalid/v1"


@asynccontextmanager
async def no_tls() -> AsyncIterator[str]:
    """What listens there speaks no TLS."""
    async with _deaf_port(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        yield f"https://127.0.0.1:{port}/v1"


@asynccontextmanager
async def handshake_cut() -> AsyncIterator[str]:
    """The line is cut in the TLS handshake."""
    async with _deaf_port(b"") as port:
        yield f"https://127.0.0.1:{port}/v1"


def certified(issue: Callable[[trustme.CA], trustme.LeafCert], *, known: bool) -> Endpoint:
    """An endpoint that speaks TLS with this certificate; `known`: its authority is trusted here."""

    @asynccontextmanager
    async def listening() -> AsyncIterator[str]:
        authority = await asyncio.to_thread(trustme.CA)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (await asyncio.to_thread(issue, authority)).configure_cert(context)
        async with AsyncExitStack() as stack:
            trusted = stack.enter_context(authority.cert_pem.tempfile())
            if known:
                patch = stack.enter_context(pytest.MonkeyPatch.context())
                patch.setenv("SSL_CERT_FILE", trusted)
            yield await stack.enter_async_context(tls_endpoint(context))

    return listening


@asynccontextmanager
async def tls_endpoint(context: ssl.SSLContext) -> AsyncIterator[str]:
    """What answers `{}` to every request, over TLS."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        yield f"https://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def for_this_machine(authority: trustme.CA) -> trustme.LeafCert:
    """A certificate as it should be."""
    return authority.issue_cert("127.0.0.1")


def for_another_name(authority: trustme.CA) -> trustme.LeafCert:
    """A certificate of somebody else."""
    return authority.issue_cert("models.example.org")


def for_the_past(authority: trustme.CA) -> trustme.LeafCert:
    """A certificate that nobody renewed."""
    begin = datetime(2001, 1, 1, tzinfo=UTC)
    return authority.issue_cert("127.0.0.1", not_before=begin, not_after=begin + timedelta(days=90))


@dataclass(frozen=True)
class Unreachable:
    """An endpoint that no request reaches, and what becomes of a run before it."""

    at: Endpoint
    says: str = "could not be reached"
    """What people are told, in part."""
    code: str = UNAVAILABLE
    retried: bool = True


def _untrusted(
    issue: Callable[[trustme.CA], trustme.LeafCert], says: str, *, known: bool
) -> Unreachable:
    """An operator must act: no other attempt can help."""
    return Unreachable(certified(issue, known=known), says, REJECTED, retried=False)


UNREACHABLE: Final[Mapping[str, Unreachable]] = {
    "connection refused": Unreachable(refused),
    "DNS": Unreachable(unknown_name),
    "TLS: the other side speaks none": Unreachable(no_tls),
    "TLS: cut in the handshake": Unreachable(handshake_cut),
    "TLS: certificate of an unknown authority": _untrusted(
        for_this_machine, "SSL_CERT_FILE", known=False
    ),
    "TLS: certificate of another name": _untrusted(
        for_another_name, "is for another name", known=True
    ),
    "TLS: certificate that has expired": _untrusted(for_the_past, "has expired", known=True),
}


async def reach_in_vain(name: str, folder: Path) -> None:
    """A run whose endpoint cannot be reached at all. AssertionError says what is wrong."""
    there = UNREACHABLE[name]
    fault = Fault(
        name,
        hangs_up(),
        edge="network_failed",
        code=there.code,
        retried=there.retried,
        says=there.says,
    )
    async with there.at() as url, services_with_model(url, folder, HASTY) as services:
        run = await Follower(services, f"What of {name}?").ask()
        ended = await run.end()
        recovering = run.entries("recovering")
        if not there.retried:
            _check_end(fault, ended, "edge_chorus_network_failed_running_failed")
            assert recovering == [], "no other attempt could help"
            return
        _check_end(fault, ended, "edge_chorus_network_failed_running_failed_2")
        assert len(recovering) == MAX_ATTEMPTS - 1
        for attempt, each in enumerate(recovering, start=1):
            _check_recovering(fault, each, attempt=attempt)


# --- The campaign --------------------------------------------------------------------------------


@scenario("upstream")
async def upstream_fails(campaign: Campaign) -> None:
    """Every fault of the catalogue, met by real runs."""
    wrong = await meet_all(campaign.folder)
    for family, faults in FAMILIES.items():
        problems = [fault.name for fault in faults if fault.name in wrong]
        for name in problems:
            campaign.failed(f"{name}: {wrong[name]}")
        campaign.injected(family, len(faults), survived=len(faults) - len(problems))
    for number, name in enumerate(UNREACHABLE):
        with campaign.fault("upstream cannot be reached"):
            await reach_in_vain(name, campaign.folder / f"unreachable-{number}")
