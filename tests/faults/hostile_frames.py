"""Frames that no honest client sends, and honest ones in the wrong place; all from given dice.

    frames = HostileFrames(random.Random(7))
    frames.learn(reply)          # ids that the server gave are used in what follows
    text = frames.next()

Only texts are made here. Who sends them, and what must hold then, is in `fuzz`.
"""

import json
import random
import string
import uuid
from collections import deque
from typing import Any, Final

from nacl.signing import SigningKey

from machines.models.wire.requests import REQUESTS
from tests.support.client import Frame, base58

IDS: Final = ("thread_id", "message_id", "run_id")
FIELDS: Final = (
    *("thread_id", "message_id", "run_id", "public_key", "signature", "token", "name"),
    *("visibility", "user_id", "limit", "before_index", "after_seq", "epoch", "prompt"),
    *("reason", "scope", "after", "query"),
)
STRINGS: Final = (
    "",
    " ",
    "\0",
    "\x1b[31mred\x07",
    "\u202egnirts",
    "e\u0301" * 9,
    "\ufeff\u200b",
    "'; DROP TABLE entries; --",
    "../../etc/passwd",
    "{{7*7}}${7*7}%s%n",
    "<script>alert(1)</script>",
    "</prior_000000000000>",
    "👩‍👩‍👧‍👦" * 5,
    "x" * 32_001,
    "null",
    "-1",
)
TEXTS: Final = ("HOLD this, please", "FAIL at this", "Where is the treasure?")
NUMBERS: Final = (0, 1, -1, 7, 200, 201, 1000, 2**31, 2**53, 2**63 - 1, 2**63, -(2**63), 10**30)
OTHERS: Final[tuple[object, ...]] = (
    None,
    True,
    False,
    0.5,
    1e300,
    [],
    {},
    [[]],
    {"a": {"b": []}},
    ["x"] * 50,
)
RAW: Final = (
    "",
    " ",
    "null",
    "[]",
    "7",
    '"text"',
    "{",
    "}",
    '{"type"',
    '{"type":"ping","id":"1","data":{}',
    '{"type":"ping","id":"1","data":{}}{}',
    '{"type":"ping","id":"1","data":{"x":NaN}}',
    '{"type":"ping","id":"1","data":{"x":1e999}}',
    '{"type":"ping","id":"\\ud800","data":{}}',
    '{"type":"ping","id":"1","data":{"x":"\\udfff"}}',
    '{"type":"ping","type":"connect","id":"1","id":"2","data":{},"data":{}}',
    "[" * 5_000,
    '{"a":' * 5_000,
    '{"type":"ping","id":"1","data":' + "[" * 300 + "]" * 300 + "}",
    '{"type":"ping","id":"1","data":{"n":' + "9" * 20_000 + "}}",
    "\ufeff{}",
    "\x00",
)


class HostileFrames:
    """A source of frames.

    Args:
        dice: what everything that is made follows from.
    """

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._known: dict[str, deque[str]] = {name: deque(maxlen=12) for name in IDS}
        self._request_ids: deque[str] = deque(maxlen=20)
        keys = (SigningKey(dice.randbytes(32)).verify_key for _ in range(3))
        self._keys = [base58(bytes(key)) for key in keys]

    def learn(self, frame: Frame) -> None:
        """Remember the ids that a server frame names."""
        data = frame["data"]
        for name, known in self._known.items():
            if isinstance(data.get(name), str) and data[name] not in known:
                known.append(data[name])

    def next(self) -> str:
        """The next frame."""
        roll = self._dice.random()
        if roll < 0.15:
            return self._raw()
        text = self._structured(damaged=roll < 0.45)
        return self._mutilated(text) if roll > 0.9 else text

    def _raw(self) -> str:
        if self._dice.random() < 0.5:
            return self._dice.choice(RAW)
        alphabet = self._dice.choice((string.printable, '{}[]":,\\u0123', "\0\x7f\u2028\ud83d😀"))
        return "".join(self._dice.choices(alphabet, k=self._dice.randrange(200)))

    def _mutilated(self, text: str) -> str:
        """Cut, doubled or changed somewhere."""
        place = self._dice.randrange(len(text))
        match self._dice.randrange(4):
            case 0:
                return text[:place]
            case 1:
                return text[:place] + text[place + 1 :]
            case 2:
                return text[:place] + self._dice.choice(string.printable) + text[place:]
            case _:
                return text[place:] + text[:place]

    def _structured(self, *, damaged: bool) -> str:
        """A frame of a request that there is; `damaged` ones have a field that cannot be."""
        type_ = self._dice.choice(tuple(REQUESTS))
        model = REQUESTS[type_].model_fields["data"].annotation
        assert model is not None
        fields = model.model_fields
        data = {
            name: self._value(name)
            for name, field in fields.items()
            if field.is_required() or self._dice.random() < 0.5
        }
        frame: dict[str, Any] = {"type": type_, "id": self._request_id(), "data": data}
        if damaged:
            self._damage(frame, data)
        return json.dumps(frame, ensure_ascii=self._dice.random() < 0.5)

    def _damage(self, frame: dict[str, Any], data: dict[str, Any]) -> None:
        match self._dice.randrange(5):
            case 0:
                frame[self._dice.choice(("type", "id", "data"))] = self._nonsense()
            case 1:
                del frame[self._dice.choice(("type", "id", "data"))]
            case 2 if data:
                del data[self._dice.choice(tuple(data))]
            case 3:
                data[self._dice.choice(STRINGS)] = self._nonsense()
            case _:
                data[self._dice.choice(tuple(data) or FIELDS)] = self._nonsense()

    def _nonsense(self) -> object:
        pool: tuple[object, ...] = self._dice.choice((STRINGS, NUMBERS, OTHERS))
        return self._dice.choice(pool)

    def _request_id(self) -> str:
        """A new one; now and then one that was used before."""
        if self._request_ids and self._dice.random() < 0.1:
            return self._dice.choice(self._request_ids)
        request_id = self._uuid()
        self._request_ids.append(request_id)
        return request_id

    def _value(self, name: str) -> object:
        """Something that a field of this name may hold."""
        match name:
            case "thread_id" | "message_id" | "run_id":
                known = self._known[self._dice.choice(IDS) if self._dice.random() < 0.1 else name]
                return self._dice.choice(known) if known else self._uuid()
            case "user_id":
                return self._uuid()
            case "public_key":
                return self._dice.choice(self._keys)
            case "signature":
                return "1" * 64
            case "visibility":
                return self._dice.choice(("public", "private"))
            case "scope":
                return self._dice.choice(("mine", "public"))
            case "limit":
                return self._dice.choice((1, 10, 80))
            case "before_index" | "after_seq":
                return self._dice.choice((0, 1, 5, 2**63 - 1))
            case "prompt":
                return self._dice.choice(TEXTS)
            case _:
                return self._dice.choice((*TEXTS, *STRINGS))[:80]

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._dice.getrandbits(128), version=4))
