"""
The audit as a Markdown page with figures, from `audit.json` alone.

    python -m training.audit.report [--out DIR]

Every number of the page comes out of the JSON; nothing is written by hand.
"""

import json
from collections import Counter
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from evaluation.cards.render import template
from gimefive_hf.drawing.colors import EMOTION_COLORS

from ..corpora import LABELS, SPLITS
from ..script import Script
from .duplicates import ALIGNED, CANDIDATE, LEAK, LEAK_MIRRORED, NEAR

OTHER_COLORS = {"neutral": "#999999", "contempt": "#444444"}
REPORT = "AUDIT.md"


def percent(part: float, whole: float) -> str:
    """A share with its parts: 12.3 % (123 of 1,000)."""
    return f"{100 * part / whole:.1f} % ({part:,} of {whole:,})" if whole else "– (0 of 0)"


def colour(label: str) -> object:
    """Of a label in the figures, as matplotlib takes it."""
    value = EMOTION_COLORS[label] if label in EMOTION_COLORS else OTHER_COLORS[label]
    return value if isinstance(value, str) else tuple(channel / 255 for channel in value)


def draw_counts(audit: dict, path: Path) -> None:
    """Bars of the classes of each corpus, as shares, with the number of images beside the name."""
    figure = Figure(figsize=(9, 3.6))
    axes = figure.subplots()
    counts: list[Counter] = [sum(map(Counter, splits.values()), Counter()) for splits in audit["counts"].values()]
    images = np.array([[count[label] for label in LABELS] for count in counts])
    sizes = images.sum(1)
    left = np.zeros(len(sizes))
    for label, shares in zip(LABELS, (100 * images / sizes[:, None]).T, strict=True):
        axes.barh(range(len(sizes)), shares, left=left, color=colour(label), label=label, edgecolor="white")
        left += shares
    names = [f"{name} ({size:,})" for name, size in zip(audit["counts"], sizes, strict=True)]
    axes.set_yticks(range(len(sizes)), names)
    axes.invert_yaxis()
    axes.set(xlim=(0, 100), xlabel="share of the corpus's images, %")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.4, -0.18), frameon=False)
    figure.savefig(path, dpi=110, bbox_inches="tight")


def draw_duplicates(audit: dict, path: Path) -> None:
    """Heat map: of the images of one split (row), which share has a twin in another (column)."""
    keys = [f"{corpus}/{split}" for corpus, splits in audit["counts"].items() for split in SPLITS if split in splits]
    shares = np.full((len(keys), len(keys)), np.nan)
    for row in audit["duplicates"]:
        shares[keys.index(row["first"]), keys.index(row["second"])] = 100 * row["exact_or_near"] / row["images"]
    figure = Figure(figsize=(8.5, 7))
    axes = figure.subplots()
    image = axes.imshow(np.log10(shares), cmap="cividis", vmin=-2, vmax=2)
    for (i, j), share in np.ndenumerate(shares):
        if not np.isnan(share):
            shown = f"{share:.0f}" if share >= 9.95 else f"{share:.1f}" if share >= 0.095 else "<0.1"
            axes.text(j, i, shown, ha="center", va="center", fontsize=7, color="black" if share > 5 else "white")
    axes.set_xticks(range(len(keys)), keys, rotation=60, ha="right", fontsize=8)
    axes.set_yticks(range(len(keys)), keys, fontsize=8)
    axes.set(xlabel="… has a twin here", ylabel="an image of this split …")
    bar = figure.colorbar(image, shrink=0.7, ticks=[-2, -1, 0, 1, 2], label="% of the row's images")
    bar.ax.set_yticklabels(["0.01", "0.1", "1", "10", "100"])
    figure.savefig(path, dpi=110, bbox_inches="tight")


def page(audit: dict) -> str:
    """`AUDIT.md`, out of `cards/audit.md.jinja`."""
    optional: dict = {"readme_counts": (), "close_hashes": {}, "ferplus": None, "ffhq": None}
    thresholds = dict(ALIGNED=ALIGNED, CANDIDATE=CANDIDATE, LEAK=LEAK, LEAK_MIRRORED=LEAK_MIRRORED, NEAR=NEAR)
    return template("audit.md.jinja").render(
        optional | audit | thresholds,
        labels=LABELS,
        n="{:,}".format,
        percent=percent,
        listed=lambda counts: ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "–",
        fer_images=sum(sum(split.values()) for split in audit["counts"].get("fer2013", {}).values()),
    )


def write_report(folder: Path) -> Path:
    """Write `AUDIT.md` and its two figures beside `audit.json`; returns the page's path."""
    audit = json.loads((folder / "audit.json").read_text())
    draw_counts(audit, folder / "audit_classes.png")
    draw_duplicates(audit, folder / "audit_duplicates.png")
    (folder / REPORT).write_text(page(audit))
    return folder / REPORT


if __name__ == "__main__":
    script = Script("training.audit.report", __doc__, store="--out")
    raise SystemExit(script.run(lambda args: print(f"wrote {write_report(args.out)}")))
