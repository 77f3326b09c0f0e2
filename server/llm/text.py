"""The text of deltas: pieces that were cut anywhere become text that can be written down.

JSON may cut a character beyond U+FFFF into two escapes, and endpoints send each in a delta of its
own. NUL is left out, since not every database holds it; half a character that stays alone becomes
U+FFFD. Pure functions but for the half that waits.
"""

from typing import Final, TypeGuard

from machines.models.limits import MAX_MODEL_NAME_LENGTH

_NUL: Final = "\0"


class TextJoiner:
    """Joins the pieces of one text."""

    def __init__(self) -> None:
        self._half = ""
        """The first half of a surrogate pair, at the end of what came."""

    def join(self, piece: str) -> str:
        """What can be said of the text after `piece`; half a character waits for the other half."""
        if not self._half and piece.isascii() and _NUL not in piece:
            return piece
        text = (self._half + piece).replace(_NUL, "")
        ends_in_half = "\ud800" <= text[-1:] <= "\udbff"
        self._half = text[-1] if ends_in_half else ""
        return whole_text(text[:-1] if ends_in_half else text)

    def rest(self) -> str:
        """What stands for the half that waits; the text is over."""
        half, self._half = self._half, ""
        return whole_text(half)


def model_name(text: str) -> str | None:
    """What of `text` can be shown as the name of a model; None where nothing can."""
    shown = "".join(filter(str.isprintable, whole_text(text)))
    return shown[:MAX_MODEL_NAME_LENGTH] or None


def is_model_name(name: object) -> TypeGuard[str]:
    """Whether users can be shown `name` as that of a model."""
    return isinstance(name, str) and 0 < len(name) <= MAX_MODEL_NAME_LENGTH and name.isprintable()


def whole_text(text: str) -> str:
    """`text` without NUL, its surrogate pairs joined and halves of them replaced."""
    text = text.replace(_NUL, "")
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
