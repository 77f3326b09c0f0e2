"""The generator of the committed drawings and declarations, and these themselves.

Everything is drawn from a chart's declaration, sorted, so that the same chart gives the same bytes;
`formats` writes the same for other tools, and `changes` compares two declarations of a machine.
Nothing here knows what a chart is for.
"""

__all__ = [
    "arrows",
    "changes",
    "changes_drawing",
    "changes_report",
    "dot",
    "formats",
    "generator",
    "labels",
    "mermaid",
    "reference",
    "scxml",
    "style",
    "svg",
    "usage",
    "xstate",
]
