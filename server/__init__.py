"""The shell: sockets, the model, the clock and the composition root. Nothing below imports it."""

__version__ = "0.3.0"
