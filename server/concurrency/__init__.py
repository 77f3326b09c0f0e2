"""Tools of the event loop that know no conversation: tasks in the background, batching, breakers, delays,
interruptions, rates and retries.

What is batched, attempted, delayed or counted, and what follows, is decided by the caller. The clock
is passed in.
"""

__all__ = [
    "background",
    "batcher",
    "circuit_breaker",
    "delay_queue",
    "interruption",
    "rate_limit",
    "retry",
]
