"""What can go wrong in the terminal client. Each message is the one line that a person reads.

    ChatError
    |-- KeyFileError      the key file cannot be used as it is
    |-- BadAddress        the URL is none that a client can dial
    |-- Unreachable       no server answers there, or none did for too long
    |-- OtherProtocol     something answers, and it does not speak version 1
    |-- SignInRefused     the server refused the key, or the client refused to sign
    |-- SessionEnded      the server ended the session for good
    |-- RefusedByServer   one request was refused; the session goes on
    `-- BadInput          a typed line says nothing that can be done

`LineLost` is no `ChatError`: the client heals it by dialling again, and its caller never sees it.
"""


class ChatError(Exception):
    """Root of the tree; `str(error)` is the line for a person."""


class KeyFileError(ChatError):
    """The key file is unreadable, corrupt, or open to others."""


class BadAddress(ChatError):
    """The URL is none that a client can dial."""


class Unreachable(ChatError):
    """No server answers at the address, or none did for too long."""


class OtherProtocol(ChatError):
    """Something answers there, and it does not speak version 1 of the protocol."""


class SignInRefused(ChatError):
    """The server refused the key, or the client refused to sign what it was shown."""


class SessionEnded(ChatError):
    """The server ended the session for good; dialling again would not help."""


class RefusedByServer(ChatError):
    """The server's `error` to one request."""

    def __init__(
        self, code: str, message: str, *, retryable: bool = False, retry_after_ms: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        """One of PROTOCOL's codes, or one that a later server added."""
        self.retryable = retryable
        self.retry_after_ms = retry_after_ms
        """Milliseconds after which the server asked to be tried again, if it said so."""


class BadInput(ChatError):
    """A typed line says nothing that can be done."""


class LineLost(Exception):
    """The socket is gone or of no use any more; another may do. Never leaves `client`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        """A few words for a person: `refused`, `timed out`."""
