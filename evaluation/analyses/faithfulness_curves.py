"""Deletion and insertion curves as a picture."""

from pathlib import Path

import pandas as pd

from gimefive_hf.drawing.explanations import figure_pixels, new_figure, save_picture

from ..faithfulness import BASELINES


def draw_curves(lines: pd.DataFrame, path: str | Path) -> None:
    """Deletion and insertion curves of one model (columns as in `faithfulness_curves.csv`) as a PNG."""
    import matplotlib

    figure = new_figure(10, 4.2)
    panels = dict(zip(("insertion", "deletion"), figure.subplots(1, 2, sharey=True), strict=True))
    methods = [method for method in dict.fromkeys(lines["method"]) if method not in BASELINES]
    palette = matplotlib.colormaps["tab10"]
    for (kind, method), part in lines.groupby(["curve", "method"], sort=False):
        if method in BASELINES:
            style = {"color": "0.5", "linestyle": ("-", "--", ":", "-.")[BASELINES.index(method)]}
        else:
            style = {"color": palette(methods.index(method) % 10)}
        panels[kind].plot(part["fraction"], part["probability"], label=method, linewidth=1.6, **style)
        panels[kind].fill_between(part["fraction"], part["low"], part["high"], alpha=0.12, color=style["color"])
    for kind, axes in panels.items():
        better = "higher is better" if kind == "insertion" else "lower is better"
        axes.set_title(f"{kind}, {int(lines['images'].max())} images ({better})", fontsize=10)
        axes.set_xlabel(f"share of pixels {'shown' if kind == 'insertion' else 'removed'}, hottest first")
        axes.grid(alpha=0.3)
    panels["insertion"].set_ylabel("probability of the class")
    panels["deletion"].legend(fontsize=8, loc="upper right")
    save_picture(figure_pixels(figure), path)
