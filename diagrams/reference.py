"""The page of all drawings: each machine with its picture, and what its guards mean."""

from collections.abc import Iterable, Iterator

from machines.statechart import Topology

_HEAD = """# The machines

Written by `chorus diagrams` from the charts; `chorus diagrams --check` says whether it still holds.
On an edge stands `event [guards] / actions`. Of several edges for one event the innermost state's come
first, then the order of declaration decides; the first whose guards hold is taken. Beside each drawing
stands what the chart declares as JSON (`machines/declarations.py` writes and reads it), with what each
guard and each action is for.

`chorus diagrams --format scxml|xstate|mermaid --out DIR` writes them for other tools: SCXML for any
processor of it, the JSON of an XState 5 machine, a Mermaid state diagram. States, events, edges and their
order carry over to the first two, which tests hold to the table of each chart in every configuration.
What a guard computes does not: it is a boolean of the data model in SCXML and a named guard in XState, for
the host to answer. Nor does what an action does: it is a name that the host performs, or passes over.
"""


def reference(charts: Iterable[Topology]) -> str:
    """The page in Markdown, with a section for each chart."""
    return "\n".join((_HEAD, *(line for chart in charts for line in _section(chart))))


def _section(chart: Topology) -> Iterator[str]:
    name, _, about = chart.title.partition(": ")
    yield f"## {name}\n"
    if about:
        yield f"{about[:1].upper()}{about[1:]}.\n"
    yield f"![{chart.title}]({chart.machine}.svg)\n"
    sentences = {guard.name: guard.sentence for edge in chart.edges for guard in edge.guards}
    if not sentences:
        return
    yield "| guard | holds when | asked by |\n|---|---|---|"
    for guard in sorted(sentences):
        asked = sorted(
            {edge.event for edge in chart.edges if guard in {each.name for each in edge.guards}}
        )
        events = ", ".join(f"`{event}`" for event in asked)
        yield f"| `{guard}` | {sentences[guard]} | {events} |"
    yield ""
