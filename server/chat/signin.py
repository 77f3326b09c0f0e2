"""The address that is dialled, and the check of a statement before it is signed. Pure.

A signature says "I am this key, towards this host". A server that passes on another server's
challenge would get a signature that is good there; so a client signs only what names the host that
it dialled, and its own key.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from server.chat.errors import BadAddress, SignInRefused

_LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
MAX_STATEMENT_CHARS = 4096
FIRST_LINE_END = " wants you to sign in with your Ed25519 key:"

_DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


@dataclass(frozen=True)
class ServerAddress:
    """A server's address as it was dialled."""

    secure: bool
    host: str
    """Lower case, an IPv6 address without its brackets."""
    port: int
    path: str
    """Of the websocket: ends with `/ws`."""

    @property
    def authority(self) -> str:
        """`host:port`, the port left out where the scheme implies it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"

    @property
    def websocket_url(self) -> str:
        return f"{'wss' if self.secure else 'ws'}://{self.authority}{self.path}"

    @property
    def page_url(self) -> str:
        """The address of the server's page."""
        scheme = "https" if self.secure else "http"
        return f"{scheme}://{self.authority}{self.path.removesuffix('ws')}"

    @property
    def is_loopback(self) -> bool:
        return self.host in _LOOPBACK_NAMES

    def is_named_by(self, authority: str) -> bool:
        """Whether `authority` (`host[:port]`) means this server.

        The loopback names stand for each other where the port is the same: a server without a
        configured address knows itself by any of them.
        """
        try:
            named = urlsplit(f"//{authority}")
            port = named.port or (443 if self.secure else 80)
        except ValueError:
            return False
        if named.netloc != authority or named.username is not None or port != self.port:
            return False
        return named.hostname == self.host or (
            self.is_loopback and named.hostname in _LOOPBACK_NAMES
        )


def parse_url(url: str) -> ServerAddress:
    """The endpoint that `url` (http, https, ws or wss) names. Raises BadAddress."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadAddress(f"{url!r} is not a URL: {error}.") from error
    scheme, host = parts.scheme.lower(), parts.hostname
    if scheme not in _DEFAULT_PORTS or not host:
        raise BadAddress(f"{url!r} is no address of a server; try http://127.0.0.1:8080.")
    if parts.username is not None or parts.query or parts.fragment:
        raise BadAddress(f"{url!r} has parts that a server's address has not; give host and port.")
    path = parts.path.rstrip("/")
    return ServerAddress(
        secure=scheme in {"https", "wss"},
        host=host,
        port=port or _DEFAULT_PORTS[scheme],
        path=path if path.endswith("/ws") else f"{path}/ws",
    )


def check_statement(
    statement: str, *, endpoint: ServerAddress, public_key: str, nonce: str
) -> None:
    """Return if `statement` may be signed; raise SignInRefused with the reason if not."""
    lines = statement.split("\n")
    if len(statement) > MAX_STATEMENT_CHARS or not all(
        character == "\n" or character.isprintable() for character in statement
    ):
        raise SignInRefused("Not signed: the server's statement is not plain text.")
    if len(lines) < 2 or not lines[0].endswith(FIRST_LINE_END):
        raise SignInRefused("Not signed: the server's statement is not a Chorus sign-in.")
    named = lines[0].removesuffix(FIRST_LINE_END)
    if not endpoint.is_named_by(named):
        raise SignInRefused(
            f"Not signed: the statement is for {named[:80]!r}, and {endpoint.authority} was dialled."
        )
    if lines[1] != public_key:
        raise SignInRefused("Not signed: the statement names another key than yours.")
    addresses = _items(lines, "URI")
    if not addresses or not all(endpoint.is_named_by(_authority_of(uri)) for uri in addresses):
        raise SignInRefused(f"Not signed: the statement's URI is not {endpoint.authority}.")
    if _items(lines, "Version") != ["1"] or _items(lines, "Nonce") != [nonce]:
        raise SignInRefused("Not signed: the statement is not the one of this challenge.")


def _authority_of(uri: str) -> str:
    """The `host[:port]` of a URI; empty where it has none."""
    try:
        return urlsplit(uri).netloc
    except ValueError:
        return ""


def _items(lines: list[str], name: str) -> list[str]:
    """The values of the lines `name: value`."""
    return [line.removeprefix(f"{name}: ") for line in lines if line.startswith(f"{name}: ")]
