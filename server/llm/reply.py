"""One answer of a model as it streams in: unchecked chunks of JSON become text and usage.

Every chunk is untrusted: what has another shape raises, and is mapped by `server.llm.errors`. A
stream that ends normally has not succeeded yet: success is a good ending behind all of the text, and an
answer that is not blank. Some endpoints name an ending in every chunk or in the first, so it is the end
only as long as no text follows it. What endpoints call things is read in `server.llm.dialects`. No
network and no SDK here: `server.llm.openai` feeds it.
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, assert_never

from machines.models.errors import AIError, ErrorCode
from machines.models.outputs import StepEnum, Usage
from machines.prompting.answers import is_structured, partial_text
from machines.prompting.citing import CitationReader
from machines.prompting.enough import shown
from server.llm.dialects import Ending, Piece, choices_in, counts_thoughts, piece_of, usage_in
from server.llm.port import OnText, unheard
from server.llm.repetition import RepetitionWatch
from server.llm.text import TextJoiner, model_name, whole_text
from server.llm.thoughts import END_TAG, ThoughtFilter

_PARTIAL_JSON_CHARACTERS: Final = 20_000
"""A longer structured answer streams no more: each delta reads it all again."""

_THOUGHT_CHARACTERS: Final = 20_000
"""Of the thoughts of an attempt that are passed on; models think for longer than anyone reads."""


class _Standing(Enum):
    """How far the ending that was named can be trusted."""

    UNNAMED = auto()
    BESIDE_TEXT = auto()
    """It came with text or before any: more may follow."""
    BEHIND_TEXT = auto()
    """It came behind all of the text, in a chunk without text."""
    DISPROVED = auto()
    """Text followed an ending: the endings of this stream say nothing by themselves."""


@dataclass
class StreamedAnswer:
    """The answer as far as it has come: reads chunks, and passes on what users may read."""

    step: StepEnum
    on_text: OnText
    max_characters: int
    on_thought: OnText = unheard
    citable: frozenset[str] = frozenset()
    """Labels that the text may cite."""
    doubts_endings: bool = False
    """Whether the endpoint names endings that are none: then only `is_done` shows an end."""
    trusts_done: bool = False
    """Whether `is_done` is an end by itself, since the endpoint names no other."""
    thinks_first: bool = False
    """Whether the text begins inside the model's thoughts, without a tag that says so."""
    model: str | None = None
    ending: Ending | None = None
    """Why the answer ended; None as long as text follows."""
    is_done: bool = False
    """Whether the endpoint said that nothing follows."""
    usage: Usage | None = None
    thinks: bool = False
    """Whether the model was found to think before it answers."""
    has_untagged_thoughts: bool = False
    """Whether thoughts were found to end in the text that did not begin with their tag."""
    _model_told: str | None = None
    """The model as the endpoint names it in every chunk."""
    _index: object = None
    """Of the choice that is read: the first that came, since no second one is asked for."""
    _told: list[str] = field(default_factory=list)
    _pieces: list[str] = field(default_factory=list)
    _arguments: list[str] = field(default_factory=list)
    """Of a tool call, which some endpoints give in place of JSON."""
    _thoughts_told: int = 0
    """Characters of the thoughts that were passed on."""
    _length: int = 0
    """Characters of all that the model wrote."""
    _joiner: TextJoiner = field(default_factory=TextJoiner)
    _thought_joiner: TextJoiner = field(default_factory=TextJoiner)
    _watch: RepetitionWatch = field(default_factory=RepetitionWatch)
    _standing: _Standing = _Standing.UNNAMED
    _refused: bool = False
    _called_tools: bool = False
    _withheld: str = ""
    """The end of the text that may be the beginning of a mark."""

    def __post_init__(self) -> None:
        self._structured = is_structured(self.step)
        self._citations = CitationReader(self.citable)
        self._thoughts = ThoughtFilter(begins_inside=self.thinks_first)
        if self.doubts_endings:
            self._standing = _Standing.DISPROVED

    @property
    def told(self) -> str:
        """What `on_text` was given, joined."""
        return "".join(self._told)

    @property
    def is_over(self) -> bool:
        """Whether all of the answer has come: nothing behind it can spoil it.

        An end that may still turn out to be none, as in a chunk with text, is proved by `is_done`, or
        by the end of the response.
        """
        return self.is_done or self._standing is _Standing.BEHIND_TEXT

    @property
    def has_begun(self) -> bool:
        """Whether anything of an answer has come."""
        return self._length > 0 or self.ending is not None

    @property
    def names_wrong_endings(self) -> bool:
        """Whether text was found to follow an ending, in this answer or in one before."""
        return self._standing is _Standing.DISPROVED

    @property
    def is_cut(self) -> bool:
        """Whether the text ended at its length limit, not at its end."""
        return self.ending is Ending.LENGTH

    @property
    def names_its_end(self) -> bool:
        """Whether the endpoint says why answers end."""
        return self._standing is not _Standing.UNNAMED

    @property
    def ends_unnamed(self) -> bool:
        """Whether there is text, and an end that nothing but `is_done` shows."""
        return self.is_done and not self.names_its_end and self._length > 0

    def take(self, chunk: object) -> None:
        """Read one chunk. Raises AIError where it is none, or the answer grows too long."""
        if chunk is None:
            return  # a sign of life
        if not isinstance(chunk, dict):
            raise AIError("The model endpoint sent something that is no chunk of an answer.")
        if (model := chunk.get("model")) != self._model_told and isinstance(model, str) and model:
            self._model_told = model
            self.model = model_name(model)
        if counted := chunk.get("usage"):
            self.usage = usage_in(counted) or self.usage
            self.thinks |= counts_thoughts(counted)
        for index, choice in choices_in(chunk):
            if self._index is None:
                self._index = index
            if index == self._index:
                self._take_piece(piece_of(choice))

    def close(self) -> None:
        """The response ended as HTTP says that a whole one does: no text follows the ending."""
        if self._standing is _Standing.BESIDE_TEXT and self._length > 0:
            self._standing = _Standing.BEHIND_TEXT

    def answer(self) -> str:
        """The whole answer, once. Raises AIError where the stream ended without a usable one."""
        rest = self._thoughts.take(self._joiner.rest()) + self._thoughts.end()
        self._take_answer(rest)
        self.tell_rest()
        if self._refused:
            raise AIError("The model refused to answer.")
        match self.ending:
            case None if self.trusts_done and self.ends_unnamed:
                return self._text()
            case None:
                raise AIError("The model's answer broke off before its end.")
            case Ending.LENGTH if self._structured or not self.told.strip():
                raise AIError("The model's answer was cut off at its length limit.")
            case Ending.STOP | Ending.TOOLS | Ending.LENGTH if self.is_over:
                return self._text()
            case Ending.STOP | Ending.TOOLS | Ending.LENGTH:
                raise AIError("The model's answer broke off before its end.")
            case Ending.FAILED:
                raise AIError(
                    "The model endpoint broke off with an error.", code=ErrorCode.AI_UNAVAILABLE
                )
            case Ending.FILTER:
                raise AIError("The endpoint's content filter stopped the answer.")
            case Ending.UNKNOWN:
                raise AIError("The model's answer ended for a reason that is not known.")
            case _:
                assert_never(self.ending)

    def tell_rest(self) -> None:
        """No text follows: what was withheld, as it might have begun a mark or a label, did not."""
        withheld, self._withheld = self._withheld, ""
        self._tell(self._citations.take(withheld) + self._citations.rest())

    def _text(self) -> str:
        """The text; where JSON is asked for, also what a tool was called with in its place."""
        text = "".join(self._pieces)
        if not self._called_tools and self.ending is not Ending.TOOLS:
            return text
        arguments = "".join(self._arguments)
        if not self._structured or text.strip() or not arguments:
            raise AIError("The model asked for a tool in place of answering.")
        return whole_text(arguments)

    def _take_piece(self, piece: Piece) -> None:
        text, thought, ending, arguments, calls_tool, refuses, is_whole = piece
        has_text = bool(text or thought or arguments)
        if has_text:
            if self.is_done or (is_whole and self._length):
                raise AIError("The model endpoint went on behind the end of its answer.")
            if self.ending is not None:
                self.ending = None
                if self._standing is not _Standing.DISPROVED:
                    self._standing = _Standing.DISPROVED if self._length else _Standing.UNNAMED
            self._length += len(text) + len(thought) + len(arguments)
            if self._length > self.max_characters:
                raise AIError(
                    f"The model's answer is longer than {self.max_characters} characters."
                )
        if thought:
            self._take_thought(self._thought_joiner.join(thought))
        self._refused |= refuses
        self._called_tools |= calls_tool
        if arguments:
            self._arguments.append(arguments)
        if text:
            self._take_answer(self._thoughts.take(self._joiner.join(text)))
            self._take_thought(self._thoughts.thoughts())
        if has_text and not is_whole and self._watch.is_stuck_after(text or thought or arguments):
            raise AIError("The model's answer repeats itself.")
        if ending is not None:
            self.ending = ending
            if self._standing is not _Standing.DISPROVED:
                is_behind = not has_text and self._length > 0
                self._standing = _Standing.BEHIND_TEXT if is_behind else _Standing.BESIDE_TEXT
        if is_whole:
            # It came as one JSON value, which is whole or none.
            self.is_done = True
            self.ending = self.ending or Ending.STOP

    def _take_thought(self, text: str) -> None:
        """Pass thoughts on, as far as there is room."""
        if not text:
            return
        self.thinks = True
        text = text[: _THOUGHT_CHARACTERS - self._thoughts_told]
        if text:
            self._thoughts_told += len(text)
            self.on_thought(text)

    def _take_answer(self, text: str) -> None:
        if not text:
            return
        self._pieces.append(text)
        if not self._structured:
            if ">" in text:
                self._look_for_untagged_thoughts()
            if self.step is StepEnum.ACTION:
                text, self._withheld = shown(self._withheld + text)
            self._tell(self._citations.take(text))
        elif self._length <= _PARTIAL_JSON_CHARACTERS:
            readable = partial_text(self.step, "".join(self._pieces))
            told = self.told
            if readable.startswith(told):
                self._tell(readable[len(told) :])

    def _look_for_untagged_thoughts(self) -> None:
        """Raises AIError where a block ends that never began: what came before is no answer."""
        if END_TAG not in "".join(self._pieces[-len(END_TAG) :]):
            return
        before, _, behind = "".join(self._pieces).partition(END_TAG)
        is_quoted = before.endswith("`") or behind.startswith("`") or "<think>" in before
        if not is_quoted and not self.thinks_first:
            self.has_untagged_thoughts = True
            raise AIError("The model did not say where its thoughts begin.")

    def _tell(self, text: str) -> None:
        if text:
            self._told.append(text)
            self.on_text(text)
