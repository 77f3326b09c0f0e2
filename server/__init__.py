"""The shell: sockets, the model, the clock and the composition root. Nothing below imports it.

`app` serves, `services` and `stores` build every concrete object, `cli` says what may be typed. Each
package has one job, and its first lines say which; what a thread, a run or a message does is decided
in `machines`, never here.
"""

__all__ = [
    "__version__",
    "addresses",
    "app",
    "chat",
    "cli",
    "command_line",
    "commands",
    "concurrency",
    "environment",
    "epochs",
    "formulas",
    "gc_tuning",
    "http",
    "llm",
    "memory",
    "metrics",
    "passing",
    "runs",
    "services",
    "sessions",
    "settings",
    "sockets",
    "stores",
    "telemetry",
    "threads",
    "timers",
    "wire",
]

__version__ = "0.3.0"
