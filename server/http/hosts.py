"""Which addresses mean this server, and from which address a request comes.

The server's own address is configured, never taken from a request: a page of another site could
else be given a name that resolves to this machine, and speak to it with the user's browser (DNS
rebinding). The Host header only chooses among the loopback names, where nothing is configured.

Text in, text or a verdict out: no request object is known here, and nothing is resolved.
"""

from collections.abc import Iterable
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from server.addresses import Origin, PublicAddress

LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
"""As they stand in a Host header; the first is the one that the server prints."""

UNKNOWN_ADDRESS: Final = "unknown"
"""Of a peer without an address (a Unix socket, a connection that is gone already)."""

_IPV6_SUBSCRIBER_BITS: Final = 64

Network = IPv4Network | IPv6Network


class Refusal(StrEnum):
    """Why a request is not this server's; the sentence is what its sender reads."""

    HOST = (
        "This server does not answer to this address. If it should, set CHORUS_PUBLIC_URL to the "
        "address that browsers use, and start it again."
    )
    ORIGIN = (
        "Pages of this origin may not use this server. If they should, name the origin in "
        "CHORUS_ALLOWED_ORIGINS."
    )


class HostPolicy:
    """The server's own address, and who may speak to it from a browser.

    Args:
        public_url: `CHORUS_PUBLIC_URL`, `http` or `https`, perhaps with a path; None where unset:
            then the loopback names with `port`.
        port: that the server listens on.
        allowed_origins: `CHORUS_ALLOWED_ORIGINS`, further pages that may connect.

    Raises:
        ValueError: one of them is no address; `server.settings` has refused it before, by its name.
    """

    def __init__(
        self, public_url: str | None, port: int, allowed_origins: tuple[str, ...] = ()
    ) -> None:
        self._loopback = tuple(Origin("http", name, port) for name in LOOPBACK_NAMES)
        self._own = self._loopback
        self.path = ""
        """Of the public address, before every path of this server; empty, or `/chorus`."""
        if public_url is not None:
            address = PublicAddress.parse(public_url)
            self._own, self.path = (address.origin,), address.path
        self._allowed = frozenset(map(Origin.parse, allowed_origins))
        self._names = {name: origin for origin in self._own for name in origin.names}

    @property
    def url(self) -> str:
        """The address to print and to publish."""
        return f"{self._own[0]}{self.path}"

    def refusal(self, host_header: str | None, origin_header: str | None) -> Refusal | None:
        """Why a request with these headers is answered with 403; None where it is this server's.

        Without an Origin it does not come from a browser's page, and is let through.
        """
        if self._dialled(host_header) is None:
            return Refusal.HOST
        if origin_header is None:
            return None
        origin = _try_origin(origin_header)
        return None if origin in self._own or origin in self._allowed else Refusal.ORIGIN

    def check(self, host_header: str | None, origin_header: str | None) -> bool:
        """Whether a request with these headers is this server's."""
        return self.refusal(host_header, origin_header) is None

    def host_for_statement(self, host_header: str | None) -> str:
        """`host[:port]` for a sign-in: the configured one, else the loopback name that was dialled.

        Raises ValueError for a header that `check` refuses.
        """
        return self._for_statement(host_header).authority

    def url_for_statement(self, host_header: str | None) -> str:
        """The URL for the same statement. Raises ValueError as `host_for_statement`."""
        return f"{self._for_statement(host_header)}{self.path}"

    def _for_statement(self, host_header: str | None) -> Origin:
        origin = self._dialled(host_header)
        if origin is None:
            raise ValueError("the Host header is none of this server's: check it first")
        return origin

    def _dialled(self, host_header: str | None) -> Origin | None:
        return None if host_header is None else self._names.get(host_header.lower())


def _try_origin(text: str) -> Origin | None:
    try:
        return Origin.parse(text)
    except ValueError:
        return None


# --- Where a request comes from ------------------------------------------------------------------


def address_of(
    remote: str | None, forwarded_for: Iterable[str], trusted_proxies: Iterable[Network]
) -> str:
    """The address to count a request against, from the peer and what trusted proxies say.

    Each proxy appends to `X-Forwarded-For` whom it heard the request from; what a client wrote
    there itself stands further left. So the list is read from its end, for as long as the one who
    added the entry is trusted.

    Args:
        remote: the peer of the socket.
        forwarded_for: the header's values, each perhaps several addresses with commas between.
        trusted_proxies: `CHORUS_TRUSTED_PROXIES`.
    """
    peer = _normal(remote)
    if peer is None:
        return UNKNOWN_ADDRESS
    proxies = tuple(trusted_proxies)
    heard_from = ",".join(forwarded_for).split(",")
    while heard_from and any(ip_address(peer) in network for network in proxies):
        previous = _normal(heard_from.pop().strip())
        if previous is None:
            break
        peer = previous
    return peer


def subscriber_of(address: str) -> str:
    """What to count an address under: itself, or for IPv6 the /64 that one subscriber gets."""
    normal = _normal(address)
    if normal is None or ":" not in normal:
        return address
    return str(ip_network(f"{normal}/{_IPV6_SUBSCRIBER_BITS}", strict=False))


def is_loopback_host(host_header: str | None) -> bool:
    """Whether a Host header is a loopback name, whatever its port."""
    name, colon, port = (host_header or "").lower().rpartition(":")
    if not colon or not port.isdigit():
        name = (host_header or "").lower()
    return name in LOOPBACK_NAMES


def is_loopback_address(address: str | None) -> bool:
    """Whether the peer is on this machine."""
    normal = _normal(address)
    return normal is not None and ip_address(normal).is_loopback


def _normal(text: str | None) -> str | None:
    """The one spelling of an address; an IPv4 address that came over IPv6 is one of IPv4."""
    try:
        address = ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)
