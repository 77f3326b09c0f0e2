"""The codes that this server closes a websocket with. What a client makes of each is in PROTOCOL."""

from enum import IntEnum


class CloseCode(IntEnum):
    """Code of a close frame: below 4000 of RFC 6455, from there on Chorus's own."""

    DONE = 1000
    """The client left or signed out."""
    GOING_AWAY = 1001
    """The server goes away; the session may be resumed."""
    BINARY = 1003
    """A binary frame came; there are text frames only."""
    ABUSE = 1008
    """Too many bad frames in a row."""
    TOO_LARGE = 1009
    """A frame above the bound; the websocket's library closes with it by itself."""
    FAILED = 1011
    """A defect of the server."""
    NOT_AUTHENTICATED = 4001
    """No sign-in in time, a sign-in that failed too often, or a session that is over."""
    TOO_SLOW = 4008
    """The consumer does not keep up; the session may be resumed."""
    REPLACED = 4009
    """Another socket resumed the session."""
