"""The composition root of all that runs without sockets: the server and `chorus ask` alike.

Every concrete object is built here and in `server.stores`; `server.app` puts the sockets in front.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from machines.charts import all_machines
from machines.chorus import chorus_machine
from machines.migrations import MIGRATIONS, Migration
from machines.models.chorus import CONTEXT_TOKENS
from machines.models.commands import Policy
from machines.models.effects import RunEffect
from machines.models.errors import ChorusError
from machines.models.ids import ThreadId, TimerId
from machines.models.journal import Batch, TimerRow
from machines.models.lease import LeasePolicy
from machines.models.wire.frames import ErrorData
from machines.models.wire.requests import ClientMessage
from server import __version__
from server.concurrency.background import Background
from server.environment import Environment
from server.epochs import EpochWatch
from server.llm.breaker import CircuitBreakerModel
from server.llm.choice import Endpoint, ModelChoice, Wanted, choose_model
from server.llm.context_length import context_tokens_of
from server.llm.policy import ModelPolicy
from server.llm.port import Bounds
from server.llm.selection import ModelSelection
from server.memory.embeddings import EmbedderChoice
from server.memory.recall import MemoryService
from server.metrics import Metrics
from server.passing.interests import Interests
from server.runs.interpreter import Chorus
from server.runs.lease import ServerLease
from server.runs.run_metrics import RunMetrics
from server.runs.succession import RunSuccession, require_whole
from server.runs.takeover import Takeover
from server.sessions.accounts import Accounts
from server.sessions.elsewhere import UsersElsewhere
from server.sessions.quotas import Allowances
from server.sessions.registry import Sessions, SessionServices
from server.sessions.requests import Requests
from server.sessions.shared_rate import SharedRate
from server.sessions.watch import watch_sessions
from server.settings import Settings
from server.stores import by_clock_of, keep_declarations, open_stores, passing_of, reading
from server.telemetry.exporting import Exporting, exporting
from server.telemetry.variables import export_settings
from server.threads.attendance import AttendanceTeller
from server.threads.broadcast import Broadcast
from server.threads.counting import HeatCounter
from server.threads.moments import MomentKeeper
from server.threads.passing_rights import PassingRights
from server.threads.relay import Relay
from server.threads.service import ThreadService
from server.timers.handlers import Wakeups
from server.wire.renderer import Renderer
from storage.journal.port import Journal
from storage.qdrant.client import DatabaseClient

log = logging.getLogger(__name__)

REMEMBER_REPLIES = timedelta(days=8)
"""PROTOCOL promises 7 days."""

PURGE_SECONDS = 3_600.0


@dataclass(frozen=True)
class Services:
    """Everything that runs without sockets."""

    settings: Settings
    environment: Environment
    journal: Journal
    memory: DatabaseClient
    model: ModelChoice
    embedder: EmbedderChoice
    broadcast: Broadcast
    thread_service: ThreadService
    chorus: Chorus
    accounts: Accounts
    memory_service: MemoryService
    requests: Requests
    sessions: Sessions
    metrics: Metrics
    renderer: Renderer
    takeover: Takeover
    epochs: EpochWatch
    background: Background


@asynccontextmanager
async def open_services(
    settings: Settings,
    environment: Environment,
    model_policy: ModelPolicy | None = None,
    migrations: Collection[Migration] = MIGRATIONS,
) -> AsyncIterator[Services]:
    """Open the stores, choose the model, and let unfinished runs go on.

    Args:
        migrations: of values whose chart is another one now.

    Raises as `open_stores`, ModelNotChosen, InvalidSettings where a variable of OpenTelemetry is wrong,
    and StateError where a migration is, or a run of another chart can neither go on nor be ended.
    """
    require_whole(migrations)
    async with AsyncExitStack() as stack:
        export = export_settings(os.environ)
        stores = await stack.enter_async_context(open_stores(settings, environment))
        environment = by_clock_of(stores.journal, environment)
        await keep_declarations(stores.journal)
        model_policy = model_policy or ModelPolicy(bounds=_bounds(settings))
        choice = await choose_model(
            _wanted(settings), clock=environment.now, bounds=model_policy.bounds
        )
        metrics = Metrics()
        model = choice.model
        if not model.offline:
            model = selection = ModelSelection(
                [
                    CircuitBreakerModel(each, model_policy.breaker, environment)
                    for each in (model, *choice.others)
                ]
            )
            metrics.watch_breaker(lambda: selection.status)
        stack.push_async_callback(model.close)
        await _compile_charts()
        journal = stores.journal
        lease_policy = LeasePolicy(seconds=settings.lease_seconds)
        version = f"{__version__} {chorus_machine().fingerprint}"
        lease = ServerLease(journal, environment, lease_policy, version, metrics)
        metrics.watch_damaged_rows(lambda: journal.damaged_rows)
        metrics.watch_lease(lambda: lease.status, lambda: lease.seconds_left)
        broadcast = Broadcast()
        renderer = Renderer()
        stack.callback(renderer.close)
        thread_service = ThreadService(
            journal,
            broadcast,
            _policy(settings, model_policy, choice.names),
            environment.new_id,
            renderer,
            lease.require,
        )
        memory_service = MemoryService(journal, stores.memory, stores.embedder.embedder)
        metrics.watch_memory_away(lambda: memory_service.away)
        interests = Interests(
            await passing_of(settings, journal, environment.new_id()),
            broadcast.followed,
            environment.monotonic,
        )
        broadcast.report_follows(interests.want)
        interests.subscribe(AttendanceTeller(interests, broadcast))
        chorus = Chorus(
            environment=environment,
            thread_service=thread_service,
            broadcast=broadcast,
            model=model,
            memory_service=memory_service,
            renderer=renderer,
            interests=interests,
        )
        thread_service.read_partials(chorus.partial_of)
        thread_service.report_fenced(metrics.batch_fenced)
        hooks = _CommitHooks(memory_service, chorus)
        accounts = Accounts(journal, environment, hooks, session_hours=settings.session_hours)
        allowances = Allowances(
            settings.prompts_per_minute,
            settings.read_kib_per_second,
            journal,
            environment.monotonic,
        )
        exports = None
        if export is not None:
            exports = await stack.enter_async_context(
                exporting(
                    export, journal, reading(settings), environment, metrics, lambda: lease.id
                )
            )
        requests = Requests(
            environment=environment,
            journal=journal,
            broadcast=broadcast,
            thread_service=thread_service,
            chorus=chorus,
            accounts=accounts,
            memory_service=memory_service,
            allowances=allowances,
            renderer=renderer,
            on_client_ahead=metrics.client_ahead,
        )
        sessions = Sessions(
            SessionServices(
                environment=environment,
                journal=journal,
                thread_service=thread_service,
                broadcast=broadcast,
                accounts=accounts,
                requests=requests,
                sign_ins=SharedRate(
                    "sign-ins", settings.sign_ins_per_minute, journal, environment.monotonic
                ),
                allowances=allowances,
                connections_per_user=settings.connections_per_user,
                on_refusal=partial(_tell_refusal, metrics, exports),
            )
        )
        wakeups = Wakeups(
            environment=environment,
            journal=journal,
            thread_service=thread_service,
            chorus=chorus,
            sessions=sessions,
        )
        hooks.wakeups = wakeups
        thread_service.subscribe(hooks)
        thread_service.subscribe(RunMetrics(metrics))
        if exports is not None:
            thread_service.subscribe(exports.traces)
        counter = HeatCounter(journal, environment.now)
        thread_service.subscribe(counter)
        thread_service.report_refusals(counter.refused)
        keeper = MomentKeeper(journal)
        thread_service.subscribe(keeper)
        relay = Relay(
            journal, thread_service, broadcast, chorus, UsersElsewhere(broadcast, sessions)
        )

        if not journal.shared:
            wakeups.restore(await journal.timers())
        takeover = Takeover(
            journal=journal,
            environment=environment,
            lease=lease,
            policy=lease_policy,
            chorus=chorus,
            succession=RunSuccession(
                journal=journal,
                thread_service=thread_service,
                environment=environment,
                migrations=migrations,
            ),
            set_retries=wakeups.take_up,
            forget_retries=wakeups.forget_retries,
            settle=thread_service.settle,
            metrics=metrics,
        )
        epochs = EpochWatch(
            journal=journal,
            thread_service=thread_service,
            broadcast=broadcast,
            sessions=sessions,
            takeover=takeover,
            wakeups=wakeups,
            memory_service=memory_service,
            relay=relay,
            interests=interests,
            on_loss=metrics.commits_lost,
        )
        await lease.join()
        await lease.compare_lengths()
        background = Background(environment.monotonic, metrics.background_defect)
        background.begin("memory service", memory_service.run)
        background.begin("thread service", thread_service.run)
        background.begin("relay", relay.run)
        background.begin("interests", interests.run)
        background.begin("heat counter", counter.run)
        background.begin("moment keeper", keeper.run)
        if exports is not None:
            background.begin("spans", exports.traces.run)
            background.begin("spans not sent", exports.unsent.run)
        background.begin(
            "purge expired replies", partial(_purge_expired_replies, journal, environment)
        )
        # Half forgotten is not forgotten: a new start reads everything anew.
        background.begin("epochs", epochs.run, ends_server=True)
        if journal.shared:
            passing_rights = PassingRights(journal, broadcast)
            broadcast.hold_passing(passing_rights)
            background.begin("passing rights", passing_rights.run)
            background.begin("sessions", partial(watch_sessions, sessions))
            background.begin("deadlines", wakeups.claim_deadlines)
        if choice.endpoint is not None and settings.context_tokens is None:
            background.begin(
                "context length",
                partial(_read_contexts, choice.endpoint, choice.names, thread_service),
            )

        async def stop() -> None:
            await chorus.close()
            await relay.close()
            await thread_service.drain()
            with suppress(ChorusError):
                await counter.write_refusals()
            await takeover.hand_over()
            await background.stop()

        stack.push_async_callback(stop)
        await takeover.begin()
        # No wait of a run is over before it is known whether this chart leads the run on.
        background.begin("timers", wakeups.timers.run)
        background.begin("lease", takeover.run)
        yield Services(
            settings=settings,
            environment=environment,
            journal=journal,
            memory=stores.memory,
            model=choice,
            embedder=stores.embedder,
            broadcast=broadcast,
            thread_service=thread_service,
            chorus=chorus,
            accounts=accounts,
            memory_service=memory_service,
            requests=requests,
            sessions=sessions,
            metrics=metrics,
            renderer=renderer,
            takeover=takeover,
            epochs=epochs,
            background=background,
        )


class _CommitHooks:
    """What follows a durable batch."""

    def __init__(self, memory_service: MemoryService, chorus: Chorus) -> None:
        self._memory_service = memory_service
        self._chorus = chorus
        self.wakeups: Wakeups | None = None

    def set(self, rows: tuple[TimerRow, ...]) -> None:
        """Timers of sessions."""
        assert self.wakeups is not None  # noqa: S101 - set by the composition root
        self.wakeups.set(rows)

    def cancel(self, timer_ids: tuple[TimerId, ...]) -> None:
        """Timers of sessions that are over."""
        assert self.wakeups is not None  # noqa: S101 - as above
        self.wakeups.timers.cancel(timer_ids)

    def after_commit(
        self, batch: Batch, effects: tuple[RunEffect, ...], thread_id: ThreadId
    ) -> None:
        del thread_id
        assert self.wakeups is not None  # noqa: S101 - as above
        self.wakeups.timers.cancel(batch.cancelled_timers)
        self.wakeups.set(batch.timers)
        if batch.memory:
            self._memory_service.wake()
        for effect in effects:
            self._chorus.run(effect)


def _tell_refusal(
    metrics: Metrics, exports: Exporting | None, error: ErrorData, request: ClientMessage | None
) -> None:
    metrics.refused(error.code.value)
    if exports is not None and request is not None:
        exports.refusals.refused(request, error)


async def _compile_charts() -> None:
    """Compile every table now, some 30 ms of work in all, so that no request does."""
    for machine in all_machines():
        assert machine.table  # noqa: S101 - each chart declares something
        await asyncio.sleep(0)


async def _purge_expired_replies(journal: Journal, environment: Environment) -> None:
    """Forget replies that no request may ask for any more, and counts that count no more."""
    while True:
        try:
            await journal.forget_replies(environment.now() - REMEMBER_REPLIES)
            await journal.forget_full_buckets()
        except ChorusError as error:
            log.warning("old replies stay: %s", error.message)
        await asyncio.sleep(PURGE_SECONDS)


def _wanted(settings: Settings) -> Wanted:
    key = settings.openai_api_key
    return Wanted(
        llm=settings.llm,
        api_key=key.get_secret_value() if key else None,
        base_url=settings.openai_base_url,
        model=settings.model,
        others=settings.models,
    )


def _bounds(settings: Settings) -> Bounds:
    return Bounds(
        idle_seconds=settings.model_idle_seconds, total_seconds=settings.model_total_seconds
    )


async def _read_contexts(
    endpoint: Endpoint, models: tuple[str, ...], thread_service: ThreadService
) -> None:
    """Keep runs within the context that the endpoint tells of each model, which may be short, from
    now on."""
    for name in models:
        told = await context_tokens_of(endpoint.base_url, name, endpoint.api_key)
        if told is not None:
            log.info("the context of %s has %d tokens", name, told)
            own = name == endpoint.model
            thread_service.keep_to_context(min(told, CONTEXT_TOKENS), None if own else name)


def _policy(settings: Settings, model_policy: ModelPolicy, models: tuple[str, ...]) -> Policy:
    context_tokens = settings.context_tokens or CONTEXT_TOKENS
    return Policy(
        loop=settings.loop,
        max_iterations=settings.max_iterations,
        max_attempts=settings.max_attempts,
        backoff_base_ms=model_policy.backoff_base_ms,
        context_tokens=context_tokens,
        context_of_models=dict.fromkeys(models[1:], context_tokens),
        models=models,
        thread_queue=settings.thread_queue,
        pending_per_user=settings.pending_per_user,
        pending_per_thread=settings.pending_per_thread,
        approval_days=settings.approval_days,
        invitations_per_thread=settings.invitations_per_thread,
        invitations_per_user=settings.invitations_per_user,
        invitations_per_key=settings.invitations_per_key,
        invitation_days=settings.invitation_days,
    )
