"""What every rendering is made of: text that is harmless to print, one-line notes, how a person is called.

Everything ends in `Harmless`, which cleans each segment on its way to the terminal: whatever others
wrote, and whatever Markdown makes of it, no control character of theirs is printed. Rich's console
markup is never used, since texts of others would be read as markup too.
"""

from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.markdown import Markdown
from rich.segment import Segment
from rich.text import Text

from server.chat.text import clean, one_line
from server.chat.view import ChatState
from server.formulas import formulas


class Harmless:
    """A renderable whose every segment of text is cleaned when it is rendered."""

    def __init__(self, inner: RenderableType) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._inner, options):
            if not segment.control:
                yield Segment(clean(segment.text), segment.style)


class AnswerMarkdown(Markdown):
    """Markdown of an answer, in which formulas stay as they are written.

    Hyperlinks are off: a link then shows where it leads, instead of hiding it behind its words.
    """

    def __init__(self, markup: str) -> None:
        super().__init__("", hyperlinks=False)
        parser = MarkdownIt().enable(["strikethrough", "table"])
        formulas(parser)
        self.markup = markup
        self.parsed = parser.parse(markup)


def note(text: str) -> RenderableType:
    """One quiet line."""
    return Text(f"· {one_line(text, 400)}", style="dim")


def problem(text: str) -> RenderableType:
    """One line that says what went wrong."""
    return Text(f"✗ {one_line(text, 400)}", style="red")


def waiting(why: str) -> str:
    """The line which says that a run cannot go on now."""
    return f"{one_line(why, 300)} The run waits."


def person(key: str | None, state: ChatState) -> str:
    """How a person is called: `you`, a name, or the beginning of the key. None is the system."""
    if key is None:
        return "Chorus"
    if key == state.me:
        return "you"
    name = state.names.get(key)
    return one_line(name, 40) if name else f"{one_line(key, 80)[:8]}…"
