"""What is bound to happen if it stays possible: the fairness on which liveness rules rest.

Timers fire in the end, and whatever performs an effect answers it, with some result or other. Of users,
clients and the endpoint's good will nothing is assumed. A machine that is not named here is moved by its
users alone.
"""

from collections.abc import Callable, Mapping
from typing import Final

from machines.properties.steps import Step


def _is(*events: str) -> Callable[[Step], bool]:
    return lambda step: step.event in events


def _of_a_breaker(step: Step) -> bool:
    """An attempt that was delayed asks again, and a probe reports, or its caller gives it up."""
    if step.event == "attempt":
        return step.source == "open" and bool(step.said["has_waited"])
    return step.source == "half_open" and step.event in {"answered", "failed", "abandoned"}


_ASSURED: Final[Mapping[str, Callable[[Step], bool]]] = {
    # The queue moves on whenever a run ends, so that a waiting run starts.
    "chorus": lambda step: step.event != "cancel",
    "message": _is("expire"),
    "invitation": _is("expire"),
    "invite_link": _is("expire"),
    "removal": _is("expire"),
    # Its run ends.
    "branch": _is("answer", "run_ended", "expire"),
    "connection": _is(
        "challenge_issued",
        "signature_checked",
        "session_looked_up",
        "access_checked",
        "session_expired",
        "thread_lost",
    ),
    "breaker": _of_a_breaker,
    "lease": _is("granted", "renewed", "lost"),
}


def is_assured(step: Step) -> bool:
    """Whether the step is bound to happen, at the latest when nothing else does."""
    assured = _ASSURED.get(step.machine)
    return assured is not None and assured(step)
