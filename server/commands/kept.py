"""What the journal keeps beside its entries, for commands that explain or check them."""

from collections.abc import Mapping

from machines.charts import known_declarations
from machines.declarations import Declaration, UnreadableDeclaration, read_declaration


def declarations(texts: Mapping[str, str]) -> tuple[dict[str, Declaration], list[str]]:
    """By fingerprint, of earlier versions, of today and of this journal; and what cannot be read of it.

    Args:
        texts: by fingerprint, as the journal keeps them.
    """
    declared = dict(known_declarations())
    problems = []
    for fingerprint, text in texts.items():
        if fingerprint in declared:
            continue
        try:
            declared[fingerprint] = read_declaration(text)
        except UnreadableDeclaration as error:
            problems.append(f"journal: what {fingerprint} declares cannot be read: {error}")
    return declared, problems
