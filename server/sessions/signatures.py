"""Sign-in: the statement that a person signs, the check of the signature, and fresh secrets.

Cryptography and its texts live here and nothing else: who waits for which challenge, and what a
valid signature opens, is known to the connection's machine and its shell.

Verification takes about 65 us and no IO, so it runs on the event loop. libsodium alone would refuse
what is refused here before it is asked; but whether a name can be forged should not hang on a
library's build options, so the three rules stand here too (RFC 8032, 5.1.7; libsodium
`ge25519_has_small_order`):

- a key of small order is nobody's: for such a key one signature is valid for many texts;
- a point has one encoding: its y below the field's prime;
- a signature has one encoding: its S below the order of the group, or anybody could make a second
  signature out of a first.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from nacl.bindings import crypto_core_ed25519_is_valid_point
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from machines.models.connection import ChallengeIssued
from machines.models.ids import PublicKey
from machines.models.keys import decode_public_key, decode_signature

NONCE_BYTES: Final = 16

STATEMENT_VERSION: Final = 1

_PRIME: Final = 2**255 - 19
_GROUP_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
_ORDER_EIGHT_Y: Final = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER_YS: Final = frozenset({0, 1, _PRIME - 1, _ORDER_EIGHT_Y, _PRIME - _ORDER_EIGHT_Y})
"""The y of every point whose order divides 8: order 4, 1, 2, and the two of order 8."""


CHALLENGE_SECONDS: Final = 60
"""How long a challenge may wait for its signature."""


def new_challenge(
    host: str, public_url: str, public_key: PublicKey, nonce: str, now: datetime
) -> ChallengeIssued:
    """A statement to sign until `CHALLENGE_SECONDS` from now; the arguments are `make_statement`'s."""
    ends = now + timedelta(seconds=CHALLENGE_SECONDS)
    statement = make_statement(host, public_url, public_key, nonce, now, ends)
    return ChallengeIssued(statement=statement, nonce=nonce, expires_at=ends)


def make_statement(
    host: str,
    public_url: str,
    public_key: PublicKey,
    nonce: str,
    issued_at: datetime,
    expires_at: datetime,
) -> str:
    """The exact text to sign, one item a line, in the manner of CAIP-122.

    Args:
        host: `host[:port]` of this server, from `HostPolicy.host_for_statement`.
        public_url: its URL, from `HostPolicy.url_for_statement`.
        public_key: who signs.
        nonce: of `new_nonce`.
        issued_at: aware; written in UTC to the second.
        expires_at: likewise.
    """
    return (
        f"{host} wants you to sign in with your Ed25519 key:\n"
        f"{public_key}\n"
        "\n"
        "Sign in to Chorus.\n"
        "\n"
        f"URI: {public_url}\n"
        f"Version: {STATEMENT_VERSION}\n"
        f"Nonce: {nonce}\n"
        f"Issued At: {_timestamp(issued_at)}\n"
        f"Expiration Time: {_timestamp(expires_at)}"
    )


def can_sign(public_key: str) -> bool:
    """Whether somebody can own the key: canonical base58 of a point of the curve's large group.

    For some of the other texts no signature holds, for some of them anybody's.
    """
    try:
        key = decode_public_key(PublicKey(public_key))
    except ValueError:
        return False
    return _is_usable(key) and crypto_core_ed25519_is_valid_point(key)


def verify(public_key: str, statement: str, signature: str) -> bool:
    """Whether the owner of `public_key` signed exactly `statement`.

    Args:
        public_key: base58; anything but canonical base58 of 32 bytes is False.
        statement: the text that the server kept, never one that the client sent.
        signature: base58; anything but canonical base58 of 64 bytes is False.
    """
    try:
        key = decode_public_key(PublicKey(public_key))
        signed = decode_signature(signature)
    except ValueError:
        return False
    if not _is_usable(key) or int.from_bytes(signed[32:], "little") >= _GROUP_ORDER:
        return False
    try:
        VerifyKey(key).verify(statement.encode(), signed)
    except BadSignatureError:
        return False
    return True


def new_nonce(secret: Callable[[int], bytes]) -> str:
    """Fresh hexadecimal digits for one challenge. `secret` is `Environment.secret`."""
    return secret(NONCE_BYTES).hex()


def _is_usable(key: bytes) -> bool:
    y = int.from_bytes(key, "little") & (2**255 - 1)  # the top bit is the sign of x
    return y < _PRIME and y not in _SMALL_ORDER_YS


def _timestamp(at: datetime) -> str:
    # Without the offset, which is `+00:00`; `strftime` takes four times as long.
    return f"{at.astimezone(UTC).isoformat(timespec='seconds')[:19]}Z"
