"""Tools of the event loop that know nothing of Chorus: batching, delays and rates.

What is batched, delayed or counted, and what follows, is decided by the caller. The clock is passed
in.
"""

__all__ = ["batcher", "delay_queue", "rate_limit"]
