"""Whom a message mentions: `@` and the name of a co-author.

The names are those of the moment when the message enters its thread, and what is found is kept with
the message: a name that is changed later changes no mention. Pure.

Rules:
    - `@` begins a mention where no letter, digit, underscore or other `@` stands before it (an address
      for mail mentions nobody), and the name follows at once, in either case.
    - The longest name that fits counts, so that a name may have spaces: where Ada and Ada L are
      co-authors, `@Ada L` is Ada L. A name ends where no letter, digit or underscore follows.
    - Names are not unique: all co-authors of the name are mentioned.
    - Nobody mentions themselves. The first 100 places with an `@` count, and the first 200 mentions.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from itertools import islice
from typing import Final

from machines.models.ids import PublicKey
from machines.models.limits import MAX_MENTIONS
from machines.models.mention import Mention

MAX_PLACES: Final = 100
"""Places with an `@` that are looked at: each may be compared with the names of all co-authors."""

_AT: Final = re.compile(r"(?<![\w@])@(?=\S)")
_WORD: Final = re.compile(r"\w")


def mentions_in(
    content: str, names: Mapping[PublicKey, str], author: PublicKey
) -> tuple[Mention, ...]:
    """The mentions of a message, in the order of its text.

    Args:
        names: Of the thread's co-authors, those who gave one.
    """
    keys_of: defaultdict[str, list[PublicKey]] = defaultdict(list)
    for key, name in names.items():
        if key != author:
            keys_of[name].append(key)
    longest_first = sorted(keys_of, key=len, reverse=True)
    found: list[Mention] = []
    for place in islice(_AT.finditer(content), MAX_PLACES):
        named = _name_at(content, place.end(), longest_first)
        if named is None:
            continue
        start, end = place.start(), place.end() + len(named)
        same = (each for each in longest_first if each.casefold() == named.casefold())
        found += [
            Mention(public_key=key, start=start, end=end) for each in same for key in keys_of[each]
        ]
    return tuple(found[:MAX_MENTIONS])


def _name_at(content: str, at: int, longest_first: list[str]) -> str | None:
    for name in longest_first:
        end = at + len(name)
        if content[at:end].casefold() == name.casefold() and not _WORD.match(content, end):
            return name
    return None
