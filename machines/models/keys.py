"""Public keys and signatures as text: canonical base58 of exactly 32 and 64 bytes.

Only the spelling is judged here. Whether a key is of small order and whether a signature holds is
cryptography, which lives in the server. The codec is our own, twenty lines, because the models
import nothing but pydantic; and it is stricter than the usual ones, which strip white space and
so give one person several names.
"""

from functools import lru_cache
from operator import mul
from typing import Annotated, Final

from pydantic import AfterValidator, WithJsonSchema

from machines.models.ids import PublicKey

PUBLIC_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_NO_DIGIT: Final = 255
_DIGITS: Final = bytes(
    _ALPHABET.index(chr(code)) if chr(code) in _ALPHABET else _NO_DIGIT for code in range(256)
)
"""The value of each ASCII character, for `bytes.translate`."""
_POWERS: Final = tuple(58**place for place in range(128))
"""What each digit counts, the last one first; more of them than the longest text has."""
_REMEMBERED: Final = 512
"""Texts whose bytes are remembered, 0.1 MB: each is decoded once where its frame is checked, and once
where it is used."""


def encode_base58(data: bytes) -> str:
    """The one base58 text of `data`: a `1` for each leading zero byte, then the number."""
    number = int.from_bytes(data, "big")
    digits: list[str] = []
    while number:
        number, digit = divmod(number, 58)
        digits.append(_ALPHABET[digit])
    zeros = len(data) - len(data.lstrip(b"\0"))
    return _ALPHABET[0] * zeros + "".join(reversed(digits))


@lru_cache(maxsize=_REMEMBERED)
def decode_base58(text: str, size: int) -> bytes:
    """The `size` bytes that `text` spells.

    Exactly one text spells any given bytes, so that two texts never name the same person.

    Raises:
        ValueError: a character is not of the alphabet, or the text spells another number of bytes.
    """
    # A byte needs at most 1.37 digits: longer text is refused before any arithmetic on it.
    if not size <= len(text) <= min(size * 138 // 100 + 1, len(_POWERS)):
        raise ValueError(f"must be base58 of {size} bytes")
    # What is not ASCII becomes a question mark, which is no digit either.
    digits = text.encode("ascii", "replace").translate(_DIGITS)
    if _NO_DIGIT in digits:
        raise ValueError(f"must be base58 of {size} bytes")
    number: int = sum(map(mul, reversed(digits), _POWERS))
    zeros = len(text) - len(text.lstrip(_ALPHABET[0]))
    length = (number.bit_length() + 7) // 8
    if zeros + length != size:
        raise ValueError(f"must be base58 of {size} bytes")
    return number.to_bytes(size, "big")


def decode_public_key(public_key: PublicKey) -> bytes:
    """The 32 bytes of an ed25519 public key. Raises `ValueError` for any other text."""
    return decode_base58(public_key, PUBLIC_KEY_BYTES)


def decode_signature(signature: str) -> bytes:
    """The 64 bytes of an ed25519 signature. Raises `ValueError` for any other text."""
    return decode_base58(signature, SIGNATURE_BYTES)


def encode_public_key(key: bytes) -> PublicKey:
    """The name of the person who owns the 32 bytes of `key`. Raises `ValueError` otherwise."""
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
