"""Counts and times in few characters, as drawings and tables of heat show them."""

from typing import Final

from machines.models.heat import HeldTimes, StepTokens

_UNITS: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"))
"""Milliseconds, and the unit that has so many."""


def duration_text(ms: float) -> str:
    """A time with its unit, in three significant digits at most."""
    for size, unit in _UNITS:
        # What would be rounded up to a whole one of a unit is told in it.
        if ms >= size * 0.9995:
            return f"{_short(ms / size)} {unit}"
    return f"{_short(ms)} ms"


def count_text(count: int) -> str:
    """A number with its thousands apart."""
    return f"{count:,}"


def held_text(times: HeldTimes) -> str:
    """How long a state was held."""
    return f"p50 {duration_text(times.p50_ms)}, p95 {duration_text(times.p95_ms)}"


def tokens_text(tokens: StepTokens) -> str:
    """Tokens of a completed call, in the mean; empty where the endpoint told of none."""
    if not tokens.counted:
        return ""
    asked, answered = (
        count_text(round(each / tokens.counted))
        for each in (tokens.prompt_tokens, tokens.completion_tokens)
    )
    return f"{asked} + {answered} tokens"


def _short(number: float) -> str:
    digits = 0 if number >= 99.95 else 1 if number >= 9.995 else 2
    text = f"{number:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
