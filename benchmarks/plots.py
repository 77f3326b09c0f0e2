"""A picture of each question: the medians of its rounds, with the least and the most.

    python -m benchmarks.plots FILE.json ...

Runs in the peers' environment, where matplotlib is; reads nothing but the files that are named, and
writes a PNG beside each.
"""

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt

OURS = "#1f6f8b"
OTHERS = "#b8b3a7"

WIDE = 50
"""Where the largest is so many times the smallest, a linear scale would show nothing else."""


def draw(file: Path) -> Path:
    """Draw one question's file; the picture's path."""
    asked: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    rounds = asked["rounds"]
    figures = [
        figure
        for figure in asked["figures"]
        if any(figure["key"] in told for told in rounds[0].values())
    ]
    heights = [sum(figure["key"] in told for told in rounds[0].values()) for figure in figures]
    inches = 0.32 * sum(heights) + 0.7 * len(figures) + 0.5
    picture, panels = plt.subplots(
        len(figures),
        1,
        figsize=(8, inches),
        squeeze=False,
        gridspec_kw={"height_ratios": [height + 1 for height in heights]},
    )
    for (panel,), figure in zip(panels, figures, strict=True):
        _bars(panel, figure, rounds)
    top = 1 - 0.4 / inches
    picture.text(0.01, top, asked["title"], fontsize=13, fontweight="bold", va="bottom")
    picture.tight_layout(rect=(0, 0, 1, top))
    target = file.with_suffix(".png")
    picture.savefig(target, dpi=110, metadata={"Software": None})
    plt.close(picture)
    return target


def _bars(panel: Any, figure: dict[str, str], rounds: list[dict[str, dict[str, float]]]) -> None:
    key = figure["key"]
    names = [name for name, told in rounds[0].items() if key in told]
    middles: list[float] = []
    for place, name in enumerate(reversed(names)):
        values = [each[name][key] for each in rounds]
        middle = median(values)
        middles.append(middle)
        panel.barh(place, middle, color=OURS if name.lower().startswith("chorus") else OTHERS)
        panel.plot([min(values), max(values)], [place, place], color="#333333", linewidth=1.2)
        panel.annotate(
            f"{middle:,.0f}" if middle >= 1_000 else f"{middle:.3g}",
            (max(*values, middle), place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    panel.set_yticks(range(len(names)), list(reversed(names)), fontsize=8)
    least, most = min(middles), max(middles)
    wide = least > 0 and most / least > WIDE
    unit = f" ({figure['unit']})" if figure["unit"] else ""
    scale = ", logarithmic" if wide else ""
    panel.set_title(f"{figure['label']}{unit}{scale}", loc="left", fontsize=9)
    panel.tick_params(axis="x", labelsize=8)
    panel.margins(x=0.15)
    if wide:
        panel.set_xscale("log")
        panel.set_xlim(left=least / 2)
    else:
        panel.set_xlim(left=0)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(draw(Path(argument)))
