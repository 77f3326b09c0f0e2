"""Between the values of the protocol and what is sent: the codec, live frames, Markdown as HTML.

No socket and no session: who receives a frame is decided in `server.threads.broadcast`.
"""

__all__ = [
    "bounds",
    "codec",
    "differences",
    "markdown",
    "presenter",
    "renderer",
    "typeset",
]
