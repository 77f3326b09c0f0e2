"""What each effect may bring back: the events of whoever performs it."""

from collections.abc import Mapping
from typing import Final

from machines.models import effects
from machines.models.journal import (
    ApprovalTimer,
    BranchTimer,
    InvitationTimer,
    InviteLinkTimer,
    RemovalTimer,
    RetryTimer,
    SessionTimer,
)

_NOTHING: Final[frozenset[str]] = frozenset()
_FROM_THE_MODEL: Final = frozenset(
    {
        "step_completed",
        "ai_failed",
        "network_failed",
        "attempt_delayed",
        "state_lost",
        "carrier_lost",
    }
)
ANSWERS: Final[Mapping[type, frozenset[str]]] = {
    effects.AICall: _FROM_THE_MODEL,
    effects.RecallPriors: frozenset(
        {"priors_retrieved", "network_failed", "state_lost", "carrier_lost"}
    ),
    effects.StopAttempt: _NOTHING,
    effects.StopCarrying: _NOTHING,
    effects.JoinAgain: _NOTHING,
    effects.DBOperation: _NOTHING,
    effects.CancelTimer: _NOTHING,
    effects.WebSocketEvent: _NOTHING,
    effects.IssueChallenge: frozenset({"challenge_issued"}),
    effects.VerifySignature: frozenset({"signature_checked"}),
    effects.LookUpSession: frozenset({"session_looked_up"}),
    effects.CheckAccess: frozenset({"access_checked"}),
    effects.Welcome: _NOTHING,
    effects.FollowThread: _NOTHING,
    effects.UnfollowThread: _NOTHING,
    effects.PerformRequest: _NOTHING,
    effects.EndSession: _NOTHING,
    effects.CloseConnection: _NOTHING,
}


def answers_to(effect: effects.Effect) -> frozenset[str]:
    """The events that an effect may bring back. KeyError: say it for the new effect above."""
    if isinstance(effect, effects.ScheduleTimer):
        match effect.timer:
            case RetryTimer():
                return frozenset({"retry_due"})
            case (
                ApprovalTimer()
                | InvitationTimer()
                | InviteLinkTimer()
                | RemovalTimer()
                | BranchTimer()
            ):
                return frozenset({"expire"})
            case SessionTimer():
                return frozenset({"session_expired"})
    return ANSWERS[type(effect)]
