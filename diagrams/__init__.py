"""The generator of the committed drawings and declarations, and these themselves.

Everything is drawn from a chart's declaration, sorted, so that the same chart gives the same bytes.
Nothing here knows what a chart is for.
"""

__all__ = ["arrows", "dot", "generator", "labels", "reference", "style", "svg"]
