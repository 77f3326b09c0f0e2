"""Untrusted text inside a prompt: how it is marked, made harmless, measured and clipped.

Texts of one kind stand in a section, each behind a mark of its own:

    <priors 3f9a01>
    <P1, person 2, 2026-03-14>
    the text
    </priors 3f9a01>

No text can end its section or begin another mark: every `<` of it is written `&lt;`. The nonce of a
section is the second bolt: ids that it is derived from are made after the texts were written, so their
authors could not have known it. What is written here can be read back here (`quotations`), to the
letter.

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

NONCE_LENGTH: Final = 6
"""Hex digits of a nonce. Nobody gets to try one: no text of theirs holds a `<`."""

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
_SECTION: Final = re.compile(
    rf"<(?P<tag>[a-z]+) (?P<nonce>[0-9a-f]{{{NONCE_LENGTH}}})>\n"
    r"(?P<items>.*?)"
    r"</(?P=tag) (?P=nonce)>",
    re.DOTALL,
)
_ITEM: Final = re.compile(r"<(?P<about>[^<>]*)>\n(?P<body>[^<]*)\n(?=<|\Z)")

CITATION: Final = re.compile(r"\[(P\d{1,4}(?:\s*[,;]\s*P\d{1,4})*)\]")
"""Labels in brackets, `[P1]` as well as `[P1, P2]`: what an answer cites."""

_LABELS: Final = r"\[\s*(P\d{1,4}(?:\s*[,;]\s*P\d{1,4})*)\s*\]"
_STALE: Final = re.compile(_LABELS, re.IGNORECASE)
_STALE_BEHIND_A_SPACE: Final = re.compile(rf"[ \t]*{_LABELS}", re.IGNORECASE)


class Quotation(NamedTuple):
    """A text under its mark."""

    section: str
    nonce: str
    about: str
    """What stands in its mark, as `P1, person 2, 2026-03-14`."""
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


def uncited(body: str, *, is_answer: bool) -> str:
    """A `harmless` text in which no label stands in brackets, so that none can be copied from it.

    Its labels are those of another run, or nobody's: copied, they would cite the wrong message. From
    an answer they are left out; what else stands in brackets is put in parentheses.
    """
    if "[" not in body:
        return body
    return _STALE.sub(r"(\1)", _STALE_BEHIND_A_SPACE.sub("", body) if is_answer else body)


def quoted(about: str, body: str) -> str:
    """`body`, which is `harmless` already, behind its mark.

    `about` stands in the mark as it is given: it is our own words, never text of a user.
    """
    return f"<{about}>\n{body}\n"


def section(name: str, nonce: str, items: str) -> str:
    """What `quoted` gave, one after the other, between the tags of a section; empty for no item."""
    return f"<{name} {nonce}>\n{items}</{name} {nonce}>\n" if items else ""


def quotations(prompt: str) -> list[Quotation]:
    """Everything that `section` and `quoted` put into `prompt`, in order, with the text as it was."""
    return [
        Quotation(found["tag"], found["nonce"], item["about"], unescaped(item["body"]))
        for found in _SECTION.finditer(prompt)
        for item in _ITEM.finditer(found["items"])
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
