"""Public keys and signatures as text: canonical base58 of exactly 32 and 64 bytes.

Only the spelling is judged here. Whether a key is of small order and whether a signature holds is
cryptography, which lives in the server.
"""

from functools import lru_cache
from typing import Annotated, Final

from base58 import b58decode, b58encode
from pydantic import AfterValidator, WithJsonSchema

from machines.models.ids import PublicKey

PUBLIC_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

_REMEMBERED: Final = 512
"""Texts whose bytes are remembered, 0.1 MB: each is decoded once where its frame is checked, and once
where it is used."""


def encode_base58(data: bytes) -> str:
    """The one base58 text of `data`: a `1` for each leading zero byte, then the number."""
    return b58encode(data).decode("ascii")


@lru_cache(maxsize=_REMEMBERED)
def decode_base58(text: str, size: int) -> bytes:
    """The `size` bytes that `text` spells.

    Exactly one text spells any given bytes, so that two texts never name the same user.

    Raises:
        ValueError: a character is not of the alphabet, or the text spells another number of bytes.
    """
    problem = f"must be base58 of {size} bytes"
    # A byte needs at most 1.37 digits: longer text is refused before any arithmetic on it.
    if not size <= len(text) <= size * 138 // 100 + 1:
        raise ValueError(problem)
    try:
        data = b58decode(text)
    except ValueError:
        raise ValueError(problem) from None
    # The decoder strips white space, and would so give one user several names.
    if len(data) != size or encode_base58(data) != text:
        raise ValueError(problem)
    return data


def decode_public_key(public_key: PublicKey) -> bytes:
    """The 32 bytes of an ed25519 public key. Raises `ValueError` for any other text."""
    return decode_base58(public_key, PUBLIC_KEY_BYTES)


def decode_signature(signature: str) -> bytes:
    """The 64 bytes of an ed25519 signature. Raises `ValueError` for any other text."""
    return decode_base58(signature, SIGNATURE_BYTES)


def encode_public_key(key: bytes) -> PublicKey:
    """The name of the user who owns the 32 bytes of `key`. Raises `ValueError` otherwise."""
    if len(key) != PUBLIC_KEY_BYTES:
        raise ValueError(f"a public key has {PUBLIC_KEY_BYTES} bytes, not {len(key)}")
    return PublicKey(encode_base58(key))


def _checked_public_key(text: PublicKey) -> PublicKey:
    decode_public_key(text)
    return text


def _checked_signature(text: str) -> str:
    decode_signature(text)
    return text


PublicKeyText = Annotated[
    PublicKey,
    AfterValidator(_checked_public_key),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^[1-9A-HJ-NP-Za-km-z]{32,44}$",
            "description": "Canonical base58 of the 32 bytes of an ed25519 public key.",
        }
    ),
]
"""A `PublicKey` that is checked where it enters."""

SignatureText = Annotated[
    str,
    AfterValidator(_checked_signature),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^[1-9A-HJ-NP-Za-km-z]{64,88}$",
            "description": "Canonical base58 of the 64 bytes of an ed25519 signature.",
        }
    ),
]
"""An ed25519 signature that is checked where it enters."""
