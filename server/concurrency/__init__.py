"""Tools of the event loop that know no conversation: batching, breakers, delays, interruptions, rates,
retries.

What is batched, attempted, delayed or counted, and what follows, is decided by the caller. The clock
is passed in.
"""

__all__ = [
    "batcher",
    "circuit_breaker",
    "delay_queue",
    "interruption",
    "rate_limit",
    "retry",
]
