"""Sign-in: what is a signature of a key, and what only looks like one.

The group's arithmetic stands here a second time, from the curve's equation, so that the list of
keys of small order is proved and not copied.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from machines.decisions.connections import hash_token
from machines.models.ids import PublicKey
from machines.models.keys import encode_base58, encode_public_key
from server.chat.signin import check_statement, parse_url
from server.sessions.signatures import (
    can_sign,
    make_statement,
    new_nonce,
    verify,
)

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, PRIME) % PRIME
Point = tuple[int, int]
IDENTITY: Point = (0, 1)

AT = datetime(2026, 11, 22, 10, 0, 0, 999_999, tzinfo=UTC)
SIGNER = SigningKey(bytes(range(32)))
KEY = encode_public_key(bytes(SIGNER.verify_key))


def add(a: Point, b: Point) -> Point:
    product = D * a[0] * b[0] * a[1] * b[1]
    x = (a[0] * b[1] + a[1] * b[0]) * pow(1 + product, -1, PRIME)
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, PRIME)
    return x % PRIME, y % PRIME


def times(point: Point, number: int) -> Point:
    result = IDENTITY
    while number:
        if number & 1:
            result = add(result, point)
        point = add(point, point)
        number >>= 1
    return result


def point_of(y: int) -> Point | None:
    """A point with this y, if the curve has one."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, PRIME) % PRIME
    x = pow(square, (PRIME + 3) // 8, PRIME)
    if x * x % PRIME != square:
        x = x * pow(2, (PRIME - 1) // 4, PRIME) % PRIME
    return (x, y) if x * x % PRIME == square else None


def encoded(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def small_order_points() -> set[Point]:
    """All points P with 8 P = 0: the multiples of one of order 8."""
    for y in range(2, 1_000):
        point = point_of(y)
        if point is not None:
            torsion = times(point, ORDER)
            if times(torsion, 4) != IDENTITY:
                return {times(torsion, number) for number in range(8)}
    pytest.fail("no point with a part of order 8 among the first; the arithmetic here is wrong")


def sign(statement: str) -> str:
    return encode_base58(SIGNER.sign(statement.encode()).signature)


def statement(nonce: str = "0" * 32) -> str:
    return make_statement(
        "127.0.0.1:8080",
        "http://127.0.0.1:8080",
        KEY,
        nonce,
        AT,
        AT + timedelta(seconds=60),
    )


def test_the_statement_is_this_text() -> None:
    assert statement("abc") == (
        "127.0.0.1:8080 wants you to sign in with your Ed25519 key:\n"
        f"{KEY}\n"
        "\n"
        "Sign in to Chorus.\n"
        "\n"
        "URI: http://127.0.0.1:8080\n"
        "Version: 1\n"
        "Nonce: abc\n"
        "Issued At: 2026-11-22T10:00:00Z\n"
        "Expiration Time: 2026-11-22T10:01:00Z"
    )


def test_times_are_written_in_utc() -> None:
    east = AT.astimezone(timezone(timedelta(hours=9)))
    assert make_statement("h", "u", KEY, "n", east, east) == make_statement(
        "h", "u", KEY, "n", AT, AT
    )


def test_the_terminal_client_signs_this_statement() -> None:
    check_statement(
        statement("n1"),
        endpoint=parse_url("http://127.0.0.1:8080"),
        public_key=KEY,
        nonce="n1",
    )


def test_a_signature_of_the_statement_by_the_key_is_valid() -> None:
    assert can_sign(KEY)
    assert verify(KEY, statement(), sign(statement()))


def test_a_signature_of_another_text_or_by_another_key_is_not() -> None:
    other = encode_public_key(bytes(SigningKey(bytes(32)).verify_key))
    assert not verify(KEY, statement("1"), sign(statement("2")))
    assert not verify(other, statement(), sign(statement()))


@given(st.integers(0, 511))
def test_a_signature_with_one_bit_changed_is_not_valid(bit: int) -> None:
    signed = bytearray(SIGNER.sign(statement().encode()).signature)
    signed[bit // 8] ^= 1 << bit % 8
    assert not verify(KEY, statement(), encode_base58(bytes(signed)))


@pytest.mark.parametrize(
    "spell",
    [
        lambda text: "",
        lambda text: "1" + text,
        lambda text: text[:-1],
        lambda text: text + " ",
        lambda text: "0" + text[1:],
        lambda text: "é" + text[1:],
        lambda text: encode_base58(b"\1" * 31),
        lambda text: encode_base58(b"\1" * 33),
        lambda text: encode_base58(b"\1" * 63),
        lambda text: encode_base58(b"\1" * 65),
        lambda text: "z" * 100_000,
    ],
)
def test_other_spellings_and_sizes_are_refused(spell: Callable[[str], str]) -> None:
    assert not verify(spell(KEY), statement(), sign(statement()))
    assert not verify(KEY, statement(), spell(sign(statement())))
    assert not can_sign(spell(KEY))


def test_a_second_signature_made_out_of_a_first_is_refused() -> None:
    signed = SIGNER.sign(statement().encode()).signature
    s = int.from_bytes(signed[32:], "little")
    multiples = [s + ORDER * number for number in range(1, 16) if s + ORDER * number < 2**256]
    assert multiples
    for number in multiples:
        forged = signed[:32] + number.to_bytes(32, "little")
        assert not verify(KEY, statement(), encode_base58(forged))


def test_no_key_of_small_order_may_sign_in_and_no_forgery_for_one_is_valid() -> None:
    points = small_order_points()
    assert len(points) == 8
    # For the identity [S]B = R + [k]A holds for every text where S = 0 and R is the identity.
    forgeries = [
        encode_base58(encoded(r) + s.to_bytes(32, "little")) for r in points for s in (0, ORDER)
    ]
    for point in points:
        for sign_bit in (0, 0x80):  # -0 is a second spelling of x = 0
            key = bytearray(encoded(point))
            key[31] ^= sign_bit
            name = encode_public_key(bytes(key))
            assert not can_sign(name)
            assert not any(verify(name, statement(), forgery) for forgery in forgeries)


@given(st.integers(PRIME, 2**255 - 1), st.booleans())
def test_a_second_spelling_of_a_point_is_no_key(y: int, negative: bool) -> None:
    key = (y | negative << 255).to_bytes(32, "little")
    assert not can_sign(encode_public_key(key))


@given(st.binary(min_size=32, max_size=32))
def test_every_key_that_somebody_makes_is_usable(seed: bytes) -> None:
    signer = SigningKey(seed)
    key = encode_public_key(bytes(signer.verify_key))
    assert can_sign(key)
    assert verify(key, "ü", encode_base58(signer.sign("ü".encode()).signature))


@given(st.text(max_size=120), st.text(max_size=120))
def test_whatever_stands_for_key_and_signature_is_judged_and_never_raises(
    key: str, signature: str
) -> None:
    assert not verify(PublicKey(key), statement(), signature)


def test_a_nonce_is_made_of_secret_bytes_alone() -> None:
    asked: list[int] = []

    def secret(size: int) -> bytes:
        asked.append(size)
        return bytes([0xFB, 0xFF] * (size // 2))

    assert new_nonce(secret) == "fbff" * 8
    assert asked == [16]


def test_a_token_is_stored_as_its_sha256() -> None:
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert hash_token("abc") == expected
    assert len(hash_token("\ud800")) == 64, "whatever a client sends has a hash"
