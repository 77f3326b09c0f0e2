"""What the model is asked, as pure functions of a run's state, and how its answers are checked.

Quoting of untrusted text, the share of tokens of each part, the request of each step, and the
reader of its answer. No chart and no network: `server.llm` sends what is built here.
"""

__all__ = [
    "answers",
    "citing",
    "context",
    "enough",
    "instructions",
    "json_text",
    "lengths",
    "quoting",
    "request",
    "shares",
]
