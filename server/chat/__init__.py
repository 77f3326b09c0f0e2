"""The terminal client: a program that knows PROTOCOL and nothing else of the server.

    errors    what can go wrong, each with the one line that a person reads
    keyfile   the ed25519 key on disk
    signin    the address that is dialled, and the check of a statement before it is signed
    frames    what comes over the wire, as frozen values
    events    what a client tells its user interface
    line      one signed-in socket: dialling, the sign-in, frames until it is lost
    pending   a request that waits for its reply
    client    one session over many lines: resume, requests and replies, frames in order
    runs      a run with its attempts (pure)
    view      frames folded into what a person sees (pure)
    verbs     what a person may type (pure)
    session   one person's chat: state, and what each verb asks of the server
    text      what a terminal may be given to print
    pieces    what every rendering is made of (pure)
    listings  what a verb lists, as rich renderables (pure)
    render    a thread as rich renderables (pure)
    terminal  the user interface on a tty
    plain     the same without a tty: lines in, answers out
    command   the entry: from an address to an exit code

Nothing here imports machines, storage or another part of the server, so that whatever works here
works from PROTOCOL alone.
"""

__all__ = [
    "branches",
    "client",
    "command",
    "errors",
    "events",
    "explained",
    "frames",
    "keyfile",
    "line",
    "listings",
    "past",
    "pending",
    "pieces",
    "plain",
    "render",
    "runs",
    "session",
    "signin",
    "terminal",
    "text",
    "verbs",
    "view",
]
