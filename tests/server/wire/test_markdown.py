"""What Markdown becomes on a page, and what it never becomes."""

import re
import time
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.wire.markdown import MAX_CHARACTERS, MAX_MARKS, render_blocks, render_markdown
from server.wire.typeset import ATTRIBUTES, ELEMENTS, MAX_FORMULAS

SAFE_LINK = re.compile(r"(https?://|mailto:)", re.IGNORECASE)
TAGS = frozenset(
    "a blockquote br code em h1 h2 h3 h4 h5 h6 hr li ol p pre s strong table tbody td th thead tr ul".split()  # noqa: SIM905 - read as words
)


class Page(HTMLParser):
    """Reads HTML as a browser does, and fails at whatever a page must not be handed."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[str] = []
        self.words = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS | ELEMENTS, f"<{tag}> came through"
        for name, value in attrs:
            if tag in ELEMENTS:
                assert name in ATTRIBUTES, f"{name} came through"
                continue
            assert name in {"href", "title", "rel", "class", "start", "align"}, (
                f"{name} came through"
            )
            if name == "href":
                assert SAFE_LINK.match(value or ""), f"a link to {value!r} came through"
                assert dict(attrs)["rel"] == "noopener noreferrer nofollow"
                self.links.append(value or "")
            if name == "class":
                assert (value or "").startswith("language-")

    def handle_comment(self, data: str) -> None:
        pytest.fail(f"a comment came through: {data!r}")

    def handle_decl(self, decl: str) -> None:
        pytest.fail(f"a declaration came through: {decl!r}")

    def handle_pi(self, data: str) -> None:
        pytest.fail(f"an instruction came through: {data!r}")

    def handle_data(self, data: str) -> None:
        self.words += data


def test_what_an_answer_is_made_of_is_rendered() -> None:
    html = render_markdown(
        "# Title\n\nSome *em*, **strong**, ~~gone~~ and `code`.\n\n- one\n- two\n\n3. three\n\n"
        "> quoted\n\n```py\nx < 1\n```\n\n|a|b|\n|:-|-:|\n|1|2|\n"
    )
    for part in (
        "<h1>Title</h1>",
        "<em>em</em>",
        "<strong>strong</strong>",
        "<s>gone</s>",
        "<code>code</code>",
        "<li>one</li>",
        '<ol start="3">',
        "<blockquote>",
        '<pre><code class="language-py">x &lt; 1\n</code></pre>',
        '<th align="left">a</th>',
        '<td align="right">2</td>',
    ):
        assert part in html


def test_links_lead_out_without_a_trace_of_the_page() -> None:
    html = render_markdown(
        '[a](https://example.org "t") <http://b.example> [m](mailto:c@d.example)'
    )
    assert Page(html).links == ["https://example.org", "http://b.example", "mailto:c@d.example"]
    assert html.count('rel="noopener noreferrer nofollow"') == 3
    assert 'title="t"' in html


@pytest.mark.parametrize(
    "target",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "&#106;avascript:alert(1)",
        "java\tscript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "/relative",
        "//evil.example",
        "\\\\evil.example",
        "#fragment",
        "ftp://a.example",
        "%6aavascript:alert(1)",
    ],
)
def test_any_other_link_is_none(target: str) -> None:
    assert Page(render_markdown(f"[text]({target}) [text](<{target}>)")).links == []
    assert "text" in Page(render_markdown(f"[text]({target})")).words


def test_an_image_is_its_description() -> None:
    html = render_markdown('![a *small* <b>](https://evil.example/pixel.png "t") after')
    assert html == "<p>a small &lt;b&gt; after</p>\n"
    assert "evil" not in render_markdown("![x][i]\n\n[i]: https://evil.example/p.png")


@pytest.mark.parametrize(
    "raw",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<svg/onload=alert(1)>",
        "<iframe src='//evil.example'></iframe>",
        "<!-- comment -->",
        "<style>*{}</style>",
        "<a href='https://x' onclick='y'>z</a>",
        "<details open ontoggle=alert(1)>",
    ],
)
def test_html_in_the_text_is_text(raw: str) -> None:
    for text in (raw, f"before {raw} after", f"> {raw}", f"```\n{raw}\n```", f"|{raw}|\n|-|\n"):
        page = Page(render_markdown(text))
        assert page.links == []
        assert raw.replace("'", "").split(" ")[0] in page.words.replace("'", "")


def test_a_code_fence_names_its_language_and_nothing_else() -> None:
    for info in ('py" onclick="x', "a&quot; b", "x" * 1_000, "<b>"):
        Page(render_markdown(f"```{info}\ncode\n```"))


@pytest.mark.parametrize(
    "formula",
    [
        "$a_1 * b_1 * c$",
        "$$\\sum_{i} a_i * b_i * c$$",
        "\\(x_1 * y_1 * z\\)",
        "\\[ \\frac{a_b}{c_d} * e * f \\]",
        "$$\n\\int_a^b x\n$$",
        "$a < b$",
    ],
)
def test_a_formula_is_typeset_and_keeps_its_source(formula: str) -> None:
    html = render_markdown(f"Before {formula} after.")
    assert html.count("<math ") == 1
    assert "<em>" not in html
    assert Page(html).words.startswith("Before ")
    source = re.search(r'alttext="([^"]*)"', html)
    assert source is not None
    assert unescape(source[1]) in formula


@pytest.mark.parametrize(
    "formula",
    [
        r"$\frac{a_1$",
        r"$\unknown{x}_1$",
        r"$\newcommand{\a}{b}\a_1$",
        r"$a_1 & b$",
        "${" + "{" * 60 + "x_1" + "}" * 60 + "}$",
        "$x_1" + " + x" * 400 + "$",
    ],
    ids=["unfinished", "unknown command", "definition", "stray &", "too deep", "too long"],
)
def test_what_cannot_be_typeset_stays_as_it_is_written(formula: str) -> None:
    html = render_markdown(f"Before {formula} after.")
    assert html.count('<code class="language-math">') == 1
    assert Page(html).words == f"Before {formula} after.\n"


def test_of_a_text_full_of_formulas_the_first_ones_are_typeset() -> None:
    text = "\n\n".join(f"$x_{{{number}}} + y$" for number in range(MAX_FORMULAS // 10))
    html = render_markdown(text)
    assert html.count("<math ") > 100
    assert html.count("language-math") > 10
    assert "".join(each.html for each in render_blocks(text, 0)) == html


@given(st.text(alphabet="\\{}^_&<>'\" $abfrtex[]()1\n", max_size=60), st.sampled_from("xhtml"))
def test_whatever_a_formula_holds_only_mathml_comes_of_it(inner: str, name: str) -> None:
    Page(render_markdown(f"\\({inner}_\\text{{<{name} onclick=1>{inner}\\)"))
    Page(render_markdown(f"$$\\href{{javascript:{name}}}{{{inner}}}_1$$"))


@pytest.mark.parametrize(
    "text", ["It costs $5 and $10.", "Is it \\(so\\)?", "A $ b $ c", "\\$a_1$", "$", "$$", "\\("]
)
def test_money_and_brackets_are_no_formulas(text: str) -> None:
    assert "language-math" not in render_markdown(text)


BLOCKS = st.sampled_from(
    [
        "One *line*.\nAnother.",
        "- a\n- b\n\n  c",
        "1. x\n2. y",
        "```py\nx\n\ny\n```",
        "> q\n> r",
        "|a|b|\n|-|-:|\n|1|2|",
        "# Title",
        "Title\n===",
        "***",
        "    code",
        "$x_1$ and \\(y^2\\)",
    ]
)


@given(st.lists(BLOCKS, min_size=1, max_size=6), st.data())
def test_the_blocks_of_a_text_that_goes_on_are_final_but_for_the_last(
    blocks: list[str], data: st.DataObject
) -> None:
    whole = "\n\n".join(blocks)
    cut = data.draw(st.integers(0, len(whole)))
    early, late = render_blocks(whole[:cut], 7), render_blocks(whole, 7)
    assert early[:-1] == late[: len(early[:-1])]
    assert "".join(each.html for each in late) == render_markdown(whole)
    for part, following in pairwise(late):
        assert part.end <= following.start
    assert all(7 <= each.start < each.end <= 7 + len(whole) for each in late)


def test_lines_end_as_they_do_on_any_machine() -> None:
    for end in ("\n", "\r\n", "\r"):
        text = f"One{end}{end}Two{end}three"
        first, last = render_blocks(text, 0)
        assert text[first.start : first.end].strip() == "One"
        assert text[last.start : last.end] == f"Two{end}three"


def test_what_would_take_too_long_is_not_rendered_while_it_is_written() -> None:
    assert render_blocks("*" * (MAX_MARKS + 1), 0) == ()


@given(st.text(max_size=200))
def test_no_text_at_all_gets_past(text: str) -> None:
    Page(render_markdown(text))


MARKS = """[ ]( ) ! < > javascript: http://a ` * _ | - " &# ; <a <img href= src= onload= \\ ``` x"""


@given(st.lists(st.sampled_from([*MARKS.split(" "), " ", "\n", "\t", "\0"]), max_size=40))
def test_no_mixture_of_marks_gets_past(parts: list[str]) -> None:
    Page(render_markdown("".join(parts)))


COSTLY = (
    *("word ", "[", "![", "[[]", "[a](", "[a](b)", "*a **a ", "_**a", ">", "> ", "- ", "&", "a\n"),
    *("`", "```\n", "<", "<![CDATA[", "|", "|a|b\n|-|-\n", "# a\n", "a\n=\n", "\\", "    x\n"),
)


@pytest.mark.parametrize("pattern", COSTLY)
@pytest.mark.parametrize("length", [10_000, 200_000])
def test_no_text_takes_long(pattern: str, length: int) -> None:
    text = (pattern * (length // len(pattern) + 1))[:length]
    before = time.process_time()
    html = render_markdown(text)
    assert time.process_time() - before < 1.5, f"{length} characters of {pattern!r} are too slow"
    assert len(html) < 10 * length + 1_000


def test_a_table_is_not_filled_up_without_bound() -> None:
    wide = "|a" * 3_000 + "|\n" + "|-" * 3_000 + "|\n" + "|x\n" * 3_000
    before = time.process_time()
    assert len(render_markdown(wide)) < 10 * len(wide)
    assert time.process_time() - before < 1.5


def test_a_text_past_the_bound_is_shown_as_it_is() -> None:
    text = "a <b> & [c](http://d)\n" * (MAX_CHARACTERS // 20)
    html = render_markdown(text)
    assert html.startswith("<pre>a &lt;b&gt; &amp; [c](http://d)\n")
    assert Page(html).words == text + "\n"


def test_the_same_text_is_rendered_once() -> None:
    text = "once *and* " * 200
    assert render_markdown(text) is render_markdown("".join(list(text)))
