"""Addresses of http servers as text: what settings, headers and endpoints are read with.

Nothing is resolved, and nothing here knows which addresses are this server's: `server.http.hosts` does.
"""

import ipaddress
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_PATH: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)*")
"""Of a public address: segments that need no escape, none of them a step up."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: what browsers call an origin."""

    scheme: str
    host: str
    """Lower case; an IPv6 address in its brackets."""
    port: int

    @classmethod
    def parse(cls, text: str) -> "Origin":
        """The origin that `text` spells: never more than scheme, host and port.

        Raises ValueError; its text goes on from the name of a setting.
        """
        parts = parts_of(text)
        if parts is not None and parts.netloc.isascii() and not any(map(str.isspace, text)):
            more = parts.path.strip("/") or parts.query or parts.fragment
            if parts.username is None and not more:
                host = parts.hostname or ""
                return cls(
                    scheme=parts.scheme,
                    host=f"[{ipaddress.IPv6Address(host)}]" if ":" in host else host,
                    port=parts.port or _DEFAULT_PORTS[parts.scheme],
                )
        raise ValueError("must be an address without a path, such as https://chorus.example.org")

    @property
    def authority(self) -> str:
        """`host[:port]`, the port left out where the scheme implies it."""
        if self.port == _DEFAULT_PORTS[self.scheme]:
            return self.host
        return f"{self.host}:{self.port}"

    @property
    def names(self) -> tuple[str, str]:
        """What a Host header may say: with the port, and as `authority` has it."""
        return f"{self.host}:{self.port}", self.authority

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


@dataclass(frozen=True, slots=True)
class PublicAddress:
    """The address that browsers know the server by: an origin, and a path where a proxy gives one."""

    origin: Origin
    path: str
    """Empty, or `/chorus`: without a slash at its end."""

    @classmethod
    def parse(cls, text: str) -> "PublicAddress":
        """The address that `text` spells. Raises ValueError; its text goes on from a setting's name."""
        parts = parts_of(text)
        path = "" if parts is None else parts.path.rstrip("/")
        try:
            origin = Origin.parse(text if parts is None else parts._replace(path="").geturl())
        except ValueError:
            origin = None
        if origin is None or not _PATH.fullmatch(path):
            raise ValueError(
                "must be an address such as https://example.org, or https://example.org/chorus"
            )
        return cls(origin, path)

    def __str__(self) -> str:
        return f"{self.origin}{self.path}"


def parts_of(url: str) -> SplitResult | None:
    """The parts of an http address, with a host and a port that can be; None where it is none."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _DEFAULT_PORTS and bool(parts.hostname) and parts.port != 0
        if usable and parts.netloc.rpartition("@")[2].startswith("["):
            ipaddress.IPv6Address(parts.hostname or "")
    except ValueError:
        return None
    return parts if usable else None


def host_of(url: str) -> str:
    """The host that an http address names, lower case and without brackets; empty for no address."""
    parts = parts_of(url)
    return "" if parts is None else parts.hostname or ""


def is_private(url: str) -> bool:
    """Whether what is sent to an http address stays secret: by TLS, or near by.

    Near by are this machine and, as in a composition of containers, names without a dot.
    """
    return url.startswith("https:") or is_loopback(url) or not set(host_of(url)) & set(".:")


def is_loopback(url: str) -> bool:
    """Whether an http address names this machine."""
    host = host_of(url)
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")
