"""Timers: due times in a heap, and what each of them does when it comes.

The rows are the journal's, so a timer fires after a restart too. What an event does to a run, a
message or a session is decided in `machines`.
"""

__all__ = ["handlers", "timers"]
