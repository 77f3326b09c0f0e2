"""Tools of the event loop that know no conversation: batching, breakers, delays, rates and retries.

What is batched, attempted, delayed or counted, and what follows, is decided by the caller. The clock
is passed in.
"""

__all__ = ["batcher", "circuit_breaker", "delay_queue", "rate_limit", "retry"]
