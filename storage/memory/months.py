"""The months by language, as a text names the one of a day. Data alone, for the languages of
`stop_words`."""

from collections.abc import Mapping
from typing import Final

_TEXTS: Final[Mapping[str, str]] = {
    "english": """january february march april may june july august september october november
        december""",
    "german": """januar februar märz april mai juni juli august september oktober november dezember""",
    "french": """janvier février mars avril mai juin juillet août septembre octobre novembre
        décembre""",
    "spanish": """enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre
        diciembre""",
    "italian": """gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre
        dicembre""",
    "portuguese": """janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro
        dezembro""",
    "dutch": """januari februari maart april mei juni juli augustus september oktober november
        december""",
    "swedish": """januari februari mars april maj juni juli augusti september oktober november
        december""",
    "danish": """januar februar marts april maj juni juli august september oktober november
        december""",
    "norwegian": """januar februar mars april mai juni juli august september oktober november
        desember""",
    "russian": """января февраля марта апреля мая июня июля августа сентября октября ноября
        декабря""",
}

MONTHS: Final[Mapping[str, tuple[str, ...]]] = {
    language: tuple(text.split()) for language, text in _TEXTS.items()
}
"""By the language's English name, January first."""
