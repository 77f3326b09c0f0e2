"""The runs: their effects are performed, and the results come back to them as events.

What follows a result is the chart's to say. `lease` and `takeover` say which runs are this server's to
work on, where several share a database. No socket and no session is known here.
"""

__all__ = [
    "attempt",
    "attempt_stream",
    "interpreter",
    "lease",
    "live_answer",
    "passing_text",
    "run_metrics",
    "succession",
    "takeover",
    "thought_stream",
]
