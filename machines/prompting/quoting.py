"""Untrusted text inside a prompt: how it is marked, made harmless, measured and clipped.

The mark is a tag whose name carries a nonce, `<prior_3f9a01bc77de label="P1">`. Text inside can
neither end its own tag nor begin another one: every `<` of it is written `&lt;`. The nonce is the
second bolt: ids that it is derived from are made after the text was written, so its author could
not have known it. What is written here can be read back here (`quotations`), to the letter.

Pure functions of strings. Which text stands in which prompt is the matter of `machines.prompting.context`.
"""

import hashlib
import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

UNITS_PER_TOKEN: Final = 14
"""Texts are measured in these, so that shares of a context add up in whole numbers."""

_UNITS_PER_BYTE: Final = 5
_UNITS_LESS_PER_CHARACTER: Final = 1
"""A character of one byte in UTF-8 is 4 units, 3.5 of them to a token; of two bytes (Greek, Cyrillic,
Arabic) 9; of three (Chinese, Japanese, Korean) 14, one token; of four (emoji) 19. Tokenizers begin
from bytes and have seen most of what takes few: exact counting needs their tables."""

NONCE_LENGTH: Final = 12
"""Hex digits of a nonce: 48 bits."""

SLOT: Final = "\x00"
"""Stands for a nonce in a text that is kept for several requests. No `harmless` text has it, since
controls are taken out."""

_MOST_KEPT: Final = 4_000
"""Characters of a text that is kept for the next prompt; bounds what is kept to some megabytes."""

CLIPPED: Final = " [...]"
"""Stands where text was cut off."""

_UNSEEN: Final = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, but for the tab and the line's end
    "\ud800-\udfff"  # surrogates: one that stands alone can be in no request
    "\u061c\u200e\u200f"  # marks of direction
    "\u202a-\u202e"  # embeddings and overrides
    "\u2066-\u2069"  # isolates
    "\u200b\u2060\ufeff"  # of no width; joiners stay, since emoji and scripts need them
    "\u00ad\u115f\u1160\u180e\u3164\uffa0"  # soft hyphens and fillers
    "\u2061-\u2064"  # invisible operators
    "\ufff9-\ufffb"  # annotations between lines
    "\U000e0000-\U000e007f"  # tags: a whole invisible alphabet
    "\U000e0100-\U000e01ef"  # variants 17 to 256: a byte each; 1 to 16 stay, emoji need them
    "]"
)

_PLAIN: Final = bytes({*range(0x20, 0x7F), *b"\t\n"} - {*b"&<"})
"""ASCII that is neither taken out nor escaped."""

_AMBIGUOUS: Final = re.compile(r"&(?=(?:amp|lt);)")
_ENTITY: Final = re.compile(r"&(amp|lt);")
_CUT_ENTITY: Final = re.compile(r"&[a-z]{0,3}$")
_QUOTATION: Final = re.compile(
    rf"<(?P<tag>[a-z]+)_(?P<nonce>[0-9a-f]{{{NONCE_LENGTH}}})(?P<attributes>[^<>]*)>\n"
    r"(?P<body>[^<]*)\n"
    r"</(?P=tag)_(?P=nonce)>"
)
_ATTRIBUTE: Final = re.compile(r'([a-z]+)="([^"<>]*)"')


class Quotation(NamedTuple):
    """A piece of text under its tag."""

    tag: str
    nonce: str
    attributes: dict[str, str]
    text: str


def derive_nonce(*parts: str) -> str:
    """Hex digits that cannot be foretold without all `parts`, and that replay repeats."""
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:NONCE_LENGTH]


def cleaned(text: str) -> str:
    """`text` without what a reader cannot see: controls, changes of direction, hidden letters.

    Line ends become `\\n`. Lone surrogates go too, since no request could carry them.
    """
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    if unified.isascii() and unified.replace("\n", "").replace("\t", "").isprintable():
        return unified
    return _UNSEEN.sub("", unified)


def escaped(text: str) -> str:
    """`text` without any `<`; `unescaped` gives it back."""
    distinct = _AMBIGUOUS.sub("&amp;", text) if "&" in text else text
    return distinct.replace("<", "&lt;")


def unescaped(text: str) -> str:
    """What was given to `escaped`."""
    return _ENTITY.sub(lambda found: "<" if found[1] == "lt" else "&", text)


def harmless(text: str) -> str:
    """`text` as it may stand between two tags; kept, since the next run may quote it again."""
    return _kept_harmless(text) if len(text) <= _MOST_KEPT else harmless_once(text)


@lru_cache(maxsize=512)
def _kept_harmless(text: str) -> str:
    return harmless_once(text)


def harmless_once(text: str) -> str:
    """`text` as it may stand between two tags; for what is quoted nowhere else."""
    # Most texts need no change, and that is seen in one look.
    if text.isascii() and not text.encode("ascii").translate(None, _PLAIN):
        return text
    return escaped(cleaned(text))


def quoted(tag: str, nonce: str, body: str, attributes: str = "") -> str:
    """`body`, which is `harmless` already, between its tags.

    `attributes` stand in the tag as they are given, `label="P1" by="chorus"`: they are our own
    words, never text of a user.
    """
    space = " " if attributes else ""
    return f"<{tag}_{nonce}{space}{attributes}>\n{body}\n</{tag}_{nonce}>"


def quotations(prompt: str) -> list[Quotation]:
    """Everything that `quoted` put into `prompt`, in order, with the text as it was."""
    return [
        Quotation(
            tag=found["tag"],
            nonce=found["nonce"],
            attributes=dict(_ATTRIBUTE.findall(found["attributes"])),
            text=unescaped(found["body"]),
        )
        for found in _QUOTATION.finditer(prompt)
    ]


def units(text: str) -> int:
    """About how long a model finds `text`, in units of which a token has `UNITS_PER_TOKEN`."""
    length = len(text)
    size = length if text.isascii() else len(text.encode(errors="surrogatepass"))
    return size * _UNITS_PER_BYTE - length * _UNITS_LESS_PER_CHARACTER


def estimated_tokens(text: str) -> int:
    """About how many tokens a model reads `text` as."""
    return units(text) // UNITS_PER_TOKEN + 1


def fitting_length(text: str, room: int) -> int:
    """How many characters of the beginning of `text` take at most `room` units."""
    if text.isascii():
        return min(len(text), max(room, 0) // units("a"))
    return bisect_right(range(1, len(text) + 1), room, key=lambda length: units(text[:length]))


def fitted(body: str, room: int) -> str:
    """The beginning of a `harmless` text, at most `room` units, and a mark where it was cut."""
    if units(body) <= room:
        return body
    return _cut(body, fitting_length(body, room - units(CLIPPED)))


def clipped(body: str, limit: int) -> str:
    """The beginning of a `harmless` text, at most `limit` characters, and a mark where it was cut."""
    if len(body) <= limit:
        return body
    return _cut(body, limit - len(CLIPPED))


def _cut(body: str, length: int) -> str:
    return _CUT_ENTITY.sub("", body[:length]) + CLIPPED if length > 0 else ""


def fair_limit(lengths: Sequence[int], total: int) -> int:
    """The greatest length such that texts clipped to it take no more than `total` together.

    Long texts give way first: a short one stays whole while a longer one is there to be clipped.
    """
    if sum(lengths) <= total:
        return total
    remaining = total
    for place, length in enumerate(ordered := sorted(lengths)):
        share = remaining // (len(ordered) - place)
        if length > share:
            return share
        remaining -= length
    return total
