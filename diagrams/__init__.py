"""The generator of the committed drawings and declarations, and these themselves.

Everything is drawn from a chart's declaration, sorted, so that the same chart gives the same bytes;
`formats` writes the same for other tools, `changes` compares two declarations of a machine and `code_changes` the
code of what they name, and `paths` draws a way through one. Nothing here knows what a chart is for.
"""

__all__ = [
    "arrows",
    "changes",
    "changes_drawing",
    "changes_report",
    "code_changes",
    "code_words",
    "dot",
    "formats",
    "generator",
    "heat_drawing",
    "heat_scale",
    "heat_words",
    "labels",
    "mermaid",
    "paths",
    "redirections",
    "reference",
    "scxml",
    "source",
    "style",
    "svg",
    "syntax",
    "two_ways",
    "usage",
    "xstate",
]
