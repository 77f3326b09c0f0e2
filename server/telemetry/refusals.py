"""The spans of requests that are refused: each a trace of its own, live alone.

What is refused changes nothing and is in no journal, so these spans cannot be made again: what a server
had not sent when it was killed is lost, and `chorus heat` keeps how often each guard refused. A span names
the request's type, the code of PROTOCOL, and where a machine refused it, the machine, its state, the event
and the guards that were false. It links to the run, message, branch or link that the request named. It
holds nothing else that the client sent, and does not say who that was.

A span for each of a flood would leave no room for runs: of a code, so many are told and the rest is
counted as dropped.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from machines.models.errors import ErrorCode
from machines.models.wire.frames import ErrorData
from machines.models.wire.requests import ClientMessage
from server.concurrency.rate_limit import RateLimiter
from server.environment import Environment
from server.metrics import Metrics, SpanOutcome
from server.telemetry import conventions as names
from server.telemetry.decision_spans import APPROVAL, BRANCH, INVITE_LINK
from server.telemetry.span import (
    RUN_ROOT,
    Attribute,
    Span,
    SpanKind,
    SpanLink,
    link_to,
    nanoseconds,
    span_id_of,
    trace_id_of,
)

log = logging.getLogger(__name__)

REFUSED: Final = "refused"
"""The first word of a span's name, and its place in its trace."""

A_SECOND: Final = 5.0
AT_ONCE: Final = 50
"""Refusals with one code that become spans."""

_NAMED: Final[Mapping[str, tuple[str, str]]] = {
    "run_id": (names.RUN, RUN_ROOT),
    "message_id": (names.MESSAGE, APPROVAL),
    "branch_id": (names.BRANCH, BRANCH),
    "link_id": (names.INVITE_LINK, INVITE_LINK),
}
"""By the field of a request: the attribute that names the same, and its span's place in its trace."""


def refusal_span(request: ClientMessage, error: ErrorData, id_: str, at: datetime) -> Span:
    """The span of a refused request.

    Args:
        id_: A fresh UUID, which names the trace.
    """
    attributes: dict[str, Attribute] = {
        names.REQUEST: request.type,
        names.ERROR_TYPE: error.code.value,
        **_why(error),
    }
    links: list[SpanLink] = []
    thread_id = getattr(request.data, "thread_id", None)
    if isinstance(thread_id, str):
        attributes[names.CONVERSATION] = thread_id
    for field, (name, place) in _NAMED.items():
        named = getattr(request.data, field, None)
        if isinstance(named, str):
            attributes[name] = named
            links.append(link_to(named, place))
    moment = nanoseconds(at)
    return Span(
        trace_id=trace_id_of(id_),
        span_id=span_id_of(id_, REFUSED),
        name=f"{REFUSED} {request.type}",
        kind=SpanKind.SERVER,
        start=moment,
        end=moment,
        attributes=attributes,
        failed=True,
        links=tuple(links),
    )


def _why(error: ErrorData) -> Mapping[str, Attribute]:
    """What of an error's details is a name of the protocol or of a machine."""
    details = error.details or {}
    if error.code is not ErrorCode.INVALID_TRANSITION:
        field = details.get("field")
        return {names.FIELD: field} if isinstance(field, str) else {}
    match details:
        case {
            "machine": str(machine),
            "state": str(state),
            "event": str(event),
            "guards": list(guards),
        }:
            why: dict[str, Attribute] = {
                names.MACHINE: machine,
                names.STATE: state,
                names.EVENT: event,
            }
            return why | {names.GUARDS: tuple(map(str, guards))} if guards else why
        case _:
            return {}


class LiveRefusals:
    """Is told of every request that is answered by an error."""

    def __init__(
        self,
        offer: Callable[[Sequence[Span]], None],
        samples: Callable[[int], bool],
        environment: Environment,
        metrics: Metrics,
    ) -> None:
        """
        Args:
            samples: Whether the trace of this id is wanted.
        """
        self._offer = offer
        self._samples = samples
        self._environment = environment
        self._metrics = metrics
        self._allowed: RateLimiter[ErrorCode] = RateLimiter(
            A_SECOND, AT_ONCE, environment.monotonic
        )

    def refused(self, request: ClientMessage, error: ErrorData) -> None:
        """Let the refusal be sent; never blocks, and a defect here is not the request's."""
        if self._allowed.try_take(error.code) is not None:
            self._metrics.spans(SpanOutcome.DROPPED, 1)
            return
        try:
            environment = self._environment
            span = refusal_span(request, error, environment.new_id(), environment.now())
            if self._samples(span.trace_id):
                self._offer([span])
        except Exception:
            log.exception("the span of a refusal could not be made")
