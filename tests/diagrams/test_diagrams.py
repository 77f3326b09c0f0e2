"""The drawings: every state and edge is in its SVG once, under its literal id, and drift is seen."""

import re
import shutil
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

from diagrams import generator
from diagrams.arrows import arrows, stays
from diagrams.dot import dot_source
from diagrams.generator import README, DrawingFailed, check, generate
from diagrams.labels import alike, text_of
from diagrams.style import EDGE_STYLES, LAYOUTS
from machines.charts import all_charts
from machines.chorus import ChorusChart
from machines.connection import ConnectionChart
from machines.message import MessageChart
from machines.statechart import AnyChart, EdgeKind, NodeKind, topology

COMMITTED = Path(generator.__file__).parent
SUFFIXES = ("json", "dot", "svg")
SVG = "{http://www.w3.org/2000/svg}"

every_machine = pytest.mark.parametrize("chart", all_charts(), ids=lambda chart: chart.machine)


@pytest.fixture
def drawings(tmp_path: Path) -> Path:
    """A copy of the committed drawings, to be spoilt."""
    for suffix in SUFFIXES:
        for path in COMMITTED.glob(f"*.{suffix}"):
            shutil.copy(path, tmp_path)
    shutil.copy(COMMITTED / README, tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawings made just now, by the `dot` of this machine."""
    folder = tmp_path_factory.mktemp("drawn")
    generate(folder)
    return folder


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path.name} has no {old!r} to change; adapt the test to the drawing"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def elements(path: Path) -> dict[str, ElementTree.Element]:
    root = ElementTree.parse(path).getroot()  # noqa: S314 - drawings of our own
    return {element.get("id", ""): element for element in root.iter() if "id" in element.attrib}


def test_the_committed_drawings_are_current() -> None:
    assert check(COMMITTED) == [], "run `chorus diagrams` and commit what it writes"


@every_machine
def test_every_state_and_edge_is_in_the_svg_exactly_once(chart: AnyChart) -> None:
    plain = topology(chart)
    ids = [node.id for node in plain.nodes] + [edge.id for edge in plain.edges]
    assert not [id_ for id_ in ids if not re.fullmatch(r"[A-Za-z0-9_]+", id_)]
    text = (COMMITTED / f"{chart.machine}.svg").read_text(encoding="utf-8")
    found = Counter(re.findall(r'\bid="([^"]*)"', text))
    assert {id_: found[id_] for id_ in ids} == dict.fromkeys(ids, 1)
    assert set(found.values()) == {1}, "an id names one element"


@every_machine
def test_every_edge_has_its_own_line_or_its_own_row_in_its_state(chart: AnyChart) -> None:
    found = elements(COMMITTED / f"{chart.machine}.svg")
    for edge in topology(chart).edges:
        shapes = Counter(shape.get("class") for shape in found[edge.id])
        assert shapes["row"] == 1, f"{edge.id} has no row for its label"
        if not stays(edge):
            assert shapes["line"] == 2, f"{edge.id} cannot be lit from its source to its target"
            assert shapes["head"] == 1, f"{edge.id} has no arrow head"


@every_machine
def test_the_label_of_an_edge_names_event_guards_and_actions(chart: AnyChart) -> None:
    shape = topology(chart)
    for edge in shape.edges:
        text = text_of(shape, edge)
        assert edge.event in text
        assert all(guard.label in text for guard in edge.guards)
        assert all(action in text for action in edge.actions)


def test_a_label_reads_event_guards_actions() -> None:
    texts = {
        edge.id: text_of(shape, edge)
        for shape in map(topology, all_charts())
        for edge in shape.edges
    }
    assert texts["edge_message_submit_submitted_pending"] == (
        "submit [not author_is_co_author] / open_vote"
    )
    assert texts["edge_thread_add_message_active_active"] == "↻ add_message, credit_tokens / apply"


def test_an_edge_that_leaves_a_state_with_others_within_says_from_where() -> None:
    shape = topology(ConnectionChart)
    (lost,) = (
        edge for edge in shape.edges if edge.id.endswith("network_lost_signed_in_interrupted")
    )
    assert text_of(shape, lost) == "network_lost from signed_in / unfollow, keep_session"


@every_machine
def test_every_guard_is_explained_where_it_is_asked_and_in_the_readme(chart: AnyChart) -> None:
    found = elements(COMMITTED / f"{chart.machine}.svg")
    page = (COMMITTED / README).read_text(encoding="utf-8")
    for edge in topology(chart).edges:
        title = found[edge.id].find(f"{SVG}title")
        assert title is not None
        for guard in edge.guards:
            assert guard.sentence, f"{guard.name} has no docstring"
            assert f"{guard.label}: {guard.sentence}" in (title.text or "")
            assert f"| `{guard.name}` | {guard.sentence} |" in page


@every_machine
def test_a_drawing_says_itself_what_each_of_its_guards_means(chart: AnyChart) -> None:
    root = ElementTree.parse(COMMITTED / f"{chart.machine}.svg").getroot()  # noqa: S314 - our own
    texts = {text.text for text in root.iter(f"{SVG}text")}
    for edge in topology(chart).edges:
        for guard in edge.guards:
            assert {guard.name, guard.sentence.replace("`", "")} <= texts


@every_machine
def test_edges_that_differ_in_their_event_alone_are_one_label(chart: AnyChart) -> None:
    shape = topology(chart)
    found = elements(COMMITTED / f"{chart.machine}.svg")
    for edge in shape.edges:
        first, *others = alike(shape, edge)
        seen = [
            text for text in found[first.id].iter(f"{SVG}text") if "visibility" not in text.attrib
        ]
        words = " ".join(text.text or "" for text in seen)
        assert all(each.event in words for each in (first, *others))
        for other in others:
            assert all(
                text.get("visibility") == "hidden" for text in found[other.id].iter(f"{SVG}text")
            ), "it is unseen until it is lit"


def test_a_reader_of_the_drawings_alone_learns_what_ends_a_run_and_who_ends_a_vote() -> None:
    run = {text_of(topology(ChorusChart), edge) for edge in topology(ChorusChart).edges}
    assert (
        "ai_failed, network_failed from running [result_is_current, not attempts_left] / fail"
        in run
    )
    shape = topology(MessageChart)
    out = {edge.event: edge for edge in shape.edges if edge.source == "pending"}
    assert set(out) == {
        *("approve", "reject", "withdraw", "supersede", "expire", "elector_left"),
    }
    assert [guard.name for guard in out["withdraw"].guards] == ["author_asks"]


@every_machine
def test_every_text_has_its_extent_fixed(chart: AnyChart) -> None:
    root = ElementTree.parse(COMMITTED / f"{chart.machine}.svg").getroot()  # noqa: S314 - our own
    for text in root.iter(f"{SVG}text"):
        assert float(text.get("textLength", "0")) > 0, text.text


@every_machine
def test_every_edge_is_drawn_in_the_style_of_its_kind(chart: AnyChart) -> None:
    found = elements(COMMITTED / f"{chart.machine}.svg")
    for edge in topology(chart).edges:
        classes = found[edge.id].get("class", "").split()
        assert classes[:2] == ["edge", edge.kind.value], edge.id
    for arrow in arrows(topology(chart)):
        lines = found[arrow.id if len(arrow.edges) > 1 else arrow.edges[0].id]
        look = EDGE_STYLES[arrow.kind]
        for line in (each for each in lines if each.get("class") == "line"):
            assert line.get("stroke") == look.color
            assert line.get("stroke-dasharray", "") == look.dashes


def test_no_two_kinds_of_edges_look_alike() -> None:
    assert {*EDGE_STYLES} == {*EdgeKind}
    assert len({look.color for look in EDGE_STYLES.values()}) == len(EdgeKind)
    assert len({look.dashes for look in EDGE_STYLES.values()}) == len(EdgeKind)


@every_machine
def test_final_states_are_doubled_and_compound_states_begin_at_a_dot(chart: AnyChart) -> None:
    found = elements(COMMITTED / f"{chart.machine}.svg")
    for node in topology(chart).nodes:
        outlines = found[node.id].findall(f"{SVG}path")
        assert len(outlines) == (2 if node.final else 1), node.id
        dot = f"initial_{chart.machine}_{node.name}"
        assert (dot in found) == (node.kind is NodeKind.COMPOUND), node.id


@every_machine
def test_a_lit_state_lights_no_edge_with_it(chart: AnyChart) -> None:
    for id_, element in elements(COMMITTED / f"{chart.machine}.svg").items():
        if id_.startswith("state_"):
            assert not element.findall(f".//{SVG}g"), f"{id_} has elements of others in it"


@every_machine
def test_an_edge_that_shares_its_arrow_has_a_line_that_nobody_sees_until_it_is_lit(
    chart: AnyChart,
) -> None:
    found = elements(COMMITTED / f"{chart.machine}.svg")
    for arrow in arrows(topology(chart)):
        if len(arrow.edges) == 1:
            assert arrow.id not in found
            continue
        for edge in arrow.edges:
            lines = [each for each in found[edge.id] if each.get("class") == "line"]
            assert {line.get("stroke") for line in lines} == {"transparent"}


@every_machine
def test_the_source_is_the_same_at_every_call(chart: AnyChart) -> None:
    assert dot_source(topology(chart)) == dot_source(topology(chart))


def test_layouts_are_for_machines_that_exist() -> None:
    assert {*LAYOUTS} <= {chart.machine for chart in all_charts()}


def test_drawing_twice_gives_the_same_files_and_nothing_drifts(drawn: Path, tmp_path: Path) -> None:
    written = generate(tmp_path)
    pictures = [f"{chart.machine}.{suffix}" for chart in all_charts() for suffix in SUFFIXES]
    assert [path.name for path in written] == [*pictures, README]
    for path in written:
        assert path.read_bytes() == (drawn / path.name).read_bytes(), path.name
    assert check(tmp_path) == []


def test_check_reports_a_changed_edge_in_the_source(drawings: Path) -> None:
    edit(drawings / "thread.dot", "balance_covers_it", "balance_covers_all")
    assert check(drawings) == ["thread.dot is not what the thread chart declares."]


def test_check_reports_a_declaration_that_says_something_else(drawings: Path) -> None:
    edit(drawings / "thread.json", "A co-author asks.", "A user asks.")
    (drawings / "chorus.json").unlink()
    assert check(drawings) == [
        "chorus.json is missing.",
        "thread.json is not what the thread chart declares.",
    ]


def test_check_reports_a_changed_label_in_the_picture(drawings: Path) -> None:
    edit(drawings / "thread.svg", ">[balance_covers_it]<", ">[balance_covers_all]<")
    (problem,) = check(drawings)
    assert "edge_thread_debit_tokens_active_active" in problem
    assert "balance_covers_all" in problem


def test_check_reports_a_picture_of_another_source(drawings: Path) -> None:
    text = (drawings / "message.svg").read_text(encoding="utf-8")
    spoilt = re.sub(r'data-dot-sha256="[0-9a-f]{64}"', f'data-dot-sha256="{"0" * 64}"', text)
    (drawings / "message.svg").write_text(spoilt, encoding="utf-8")
    assert check(drawings) == [
        "message.svg was not drawn from the message.dot that the chart gives."
    ]


def test_check_reports_ids_that_are_missing_strange_or_repeated(drawings: Path) -> None:
    path = drawings / "chorus.svg"
    edit(path, 'id="state_chorus_queued"', 'id="state_chorus_waiting"')
    edit(path, 'id="state_chorus_failed"', 'id="state_chorus_finished"')
    problems = check(drawings)
    assert "chorus.svg has state_chorus_queued 0 times instead of once." in problems
    assert "chorus.svg has state_chorus_failed 0 times instead of once." in problems
    assert "chorus.svg has state_chorus_finished 2 times instead of once." in problems
    assert (
        "chorus.svg has state_chorus_waiting, which the chorus chart does not declare." in problems
    )


def test_check_passes_over_a_layout_of_another_graphviz(drawings: Path) -> None:
    text = (drawings / "chorus.svg").read_text(encoding="utf-8")
    (drawings / "chorus.svg").write_text(
        re.sub(r'\b([xy])="(-?\d+)[.\d]*"', r'\1="\g<2>.5"', text), encoding="utf-8"
    )
    assert check(drawings) == []


def test_check_reports_missing_and_unreadable_files(drawings: Path) -> None:
    (drawings / "chorus.dot").unlink()
    (drawings / "message.svg").unlink()
    (drawings / "thread.svg").write_text("<svg", encoding="utf-8")
    problems = check(drawings)
    assert problems[:2] == ["chorus.dot is missing.", "message.svg is missing."]
    assert problems[2].startswith("thread.svg cannot be read: ")
    assert len(problems) == 3


def test_a_missing_dot_is_one_sentence_that_names_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "drawings"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DrawingFailed) as failure:
        generate(folder)
    assert "apt install graphviz" in str(failure.value)
    assert "\n" not in str(failure.value)
    assert not list(folder.iterdir()), "nothing is written when nothing can be drawn"


def test_checking_needs_no_graphviz(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert check(COMMITTED) == []
