"""The Chorus loop: how a run begins, what each of the six steps asks for and records, and what a failure
does to a run.

The chart `machines.chorus` calls these functions as its guards and actions. When a step is taken is the chart's
to say; how the model is asked is `machines.prompting`'s.
"""

__all__ = ["guards", "recovery", "runs", "steps"]
