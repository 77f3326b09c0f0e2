"""The runs: their effects are performed, and the results come back to them as events.

What follows a result is the chart's to say. No socket and no session is known here.
"""

__all__ = ["attempt_stream", "interpreter", "live_answer", "run_metrics", "thought_stream"]
