"""Writes the committed drawings of all machines, and checks that they are those of the machines.

Beside them stands `README.md`, which shows each and says what its guards mean (`diagrams.reference`).

The `.json` is the chart's declaration (`machines.declarations`), the `.dot` a pure function of it
(`diagrams.dot`). The `.svg` is laid out by whatever `dot`
is installed, so its coordinates differ between versions of Graphviz: it carries the hash of its
`.dot`, and `check` compares that and the ids and labels, never the layout.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from diagrams import svg
from diagrams.arrows import arrows
from diagrams.dot import DrawingFailed, card_id, dot_source, laid_out
from diagrams.labels import text_of
from diagrams.reference import reference
from machines.charts import all_charts
from machines.declarations import declaration_of
from machines.statechart import AnyChart, Topology, topology

__all__ = ["DrawingFailed", "check", "draw", "generate"]

README = "README.md"


def generate(folder: Path) -> list[Path]:
    """Write the drawings of all charts and their README; gives the paths written.

    Raises: as `draw`.
    """
    readme = folder / README
    written = draw(folder, all_charts())
    readme.write_text(reference(map(topology, all_charts())), encoding="utf-8", newline="\n")
    return [*written, readme]


def draw(folder: Path, charts: Iterable[AnyChart]) -> list[Path]:
    """Write `{machine}.json`, `.dot` and `.svg` of each chart; gives the paths written.

    Raises:
        DrawingFailed: `dot` is missing, fails or writes something strange; nothing was written.
        OSError: the folder cannot be written.
    """
    texts: dict[Path, str] = {}
    for chart in map(topology, charts):
        source = dot_source(chart)
        texts[folder / f"{chart.machine}.json"] = declaration_of(chart).to_json()
        texts[folder / f"{chart.machine}.dot"] = source
        texts[folder / f"{chart.machine}.svg"] = _picture(chart, source)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8", newline="\n")
    return list(texts)


def check(folder: Path) -> list[str]:
    """One sentence for each way in which the drawings in `folder` are not those of the machines.

    Empty: nothing has drifted; else call `generate` next. Needs no Graphviz.
    """
    drift = [problem for chart in map(topology, all_charts()) for problem in _drift(chart, folder)]
    readme = folder / README
    if not readme.is_file() or readme.read_text(encoding="utf-8") != reference(
        map(topology, all_charts())
    ):
        drift.append(f"{README} does not say what the charts declare.")
    return drift


def _drift(chart: Topology, folder: Path) -> Iterator[str]:
    source = dot_source(chart)
    exact = {"json": declaration_of(chart).to_json(), "dot": source}
    for file, text in ((folder / f"{chart.machine}.{suffix}", exact[suffix]) for suffix in exact):
        if not file.is_file():
            yield f"{file.name} is missing."
        elif file.read_bytes() != text.encode():
            yield f"{file.name} is not what the {chart.machine} chart declares."
    svg_file = folder / f"{chart.machine}.svg"
    if not svg_file.is_file():
        yield f"{svg_file.name} is missing."
        return
    try:
        picture = svg.read(svg_file.read_text(encoding="utf-8"))
    except ValueError as error:
        yield f"{svg_file.name} cannot be read: {error}."
        return
    if picture.dot_hash != _hash(source):
        yield f"{svg_file.name} was not drawn from the {chart.machine}.dot that the chart gives."
    expected = _texts(chart)
    for id_ in sorted(expected.keys() | picture.texts.keys()):
        found = picture.texts.get(id_, [])
        if id_ not in expected:
            yield f"{svg_file.name} has {id_}, which the {chart.machine} chart does not declare."
        elif len(found) != 1:
            yield f"{svg_file.name} has {id_} {len(found)} times instead of once."
        elif found[0] != expected[id_]:
            yield f"{svg_file.name} labels {id_} {found[0]!r} instead of {expected[id_]!r}."


def _texts(chart: Topology) -> dict[str, str]:
    """What the drawing says at each id."""
    states = {node.id: node.name for node in chart.nodes}
    edges = {edge.id: text_of(chart, edge) for edge in chart.edges}
    return {card_id(chart): chart.title} | states | edges


def _picture(chart: Topology, source: str) -> str:
    try:
        return svg.finish(laid_out(source), chart, tuple(arrows(chart)), _hash(source))
    except ValueError as error:
        raise DrawingFailed(
            f"This version of Graphviz writes an SVG that `diagrams.svg` does not know: {error}"
        ) from error


def _hash(source: str) -> str:
    return sha256(source.encode()).hexdigest()
