"""
The audit as a Markdown page with figures, from `audit.json` alone.

    python -m training.audit.report [--out DIR]

Every number of the page comes out of the JSON; nothing is written by hand.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from gimefive_hf.drawing.colors import EMOTION_COLORS

from ..corpora import LABELS, SPLITS
from ..script import Script
from .duplicates import ALIGNED, CANDIDATE, LEAK, LEAK_MIRRORED, NEAR

OTHER_COLORS = {"neutral": "#999999", "contempt": "#444444"}
REPORT = "AUDIT.md"


def percent(part: float, whole: float) -> str:
    """A share with its parts: 12.3 % (123 of 1,000)."""
    return f"{100 * part / whole:.1f} % ({part:,} of {whole:,})" if whole else "– (0 of 0)"


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table; thousands get a comma."""
    header = list(header)
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for row in rows:
        cells = [f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def colour(label: str) -> object:
    """Of a label in the figures, as matplotlib takes it."""
    value = EMOTION_COLORS[label] if label in EMOTION_COLORS else OTHER_COLORS[label]
    return value if isinstance(value, str) else tuple(channel / 255 for channel in value)


def draw_counts(audit: dict, path: Path) -> None:
    """Bars of the classes of each corpus, as shares, with the number of images beside the name."""
    figure = Figure(figsize=(9, 3.6))
    axes = figure.subplots()
    images = np.array(
        [
            [sum(split.get(label, 0) for split in splits.values()) for label in LABELS]
            for splits in audit["counts"].values()
        ]
    )
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


def leaks_section(audit: dict) -> str:
    rows = [
        (
            corpus,
            leak["images"],
            percent(leak["leaked"], leak["images"]),
            ", ".join(f"{n:,} {kind}" for kind, n in leak["kinds"].items()) or "–",
            ", ".join(f"{n:,} {name}" for name, n in leak["twins_in"].items()) or "–",
            percent(leak["same_label"], leak["leaked"]),
        )
        for corpus, leak in audit["leaks"].items()
    ]
    judged = [
        (
            p["kind"],
            p["looked_at"],
            p["same_photo"],
            f"{100 * p['same_photo'] / p['looked_at']:.0f} % ({100 * p['low']:.0f}–{100 * p['high']:.0f})",
        )
        for p in audit["precision"]
    ]
    return f"""## Leaked test images

A test image is leaked if a training or validation split of any corpus holds its twin: `exact`, the same pixels;
`near`, 16×16 grey thumbnails that correlate above {LEAK}; `shifted`, above {CANDIDATE} and, once the middle of one is
found in the other (five sizes, 48×48), above {ALIGNED}; `mirrored`, above {LEAK_MIRRORED} after mirroring. They are
listed in [leaked_test_images.csv](leaked_test_images.csv); results without them are called leak-free.

{table(("corpus", "test images", "leaked", "kinds", "twins in", "same label as the twin"), rows)}

How far the kinds can be trusted: pairs that were looked at, one by one
([near_duplicates_judged.csv](near_duplicates_judged.csv)). "any" are pairs by thumbnail correlation alone: they show
why the threshold is not lower, and that below it twins remain which only the aligned comparison finds.

{table(("kind", "pairs looked at", "the same photograph", "precision (95 % interval)"), judged)}
"""


def fer_images(audit: dict) -> int:
    return sum(sum(labels.values()) for labels in audit["counts"].get("fer2013", {}).values())


def duplicates_section(audit: dict) -> str:
    rows = [
        (r["first"], r["second"], r["images"], r["exact"], r["exact_or_near"], r["other_label"], r["close_hash"])
        for r in audit["duplicates"]
    ]
    counted = [(r["what"], r["readme"], r["here"]) for r in audit.get("readme_counts", ())]
    hashes = "; ".join(f"{name} {n:,}" for name, n in audit.get("close_hashes", {}).items())
    header = (
        "images of",
        "with a twin in",
        "images",
        "exact",
        "exact or near",
        "of another label",
        "perceptual hash agrees",
    )
    blank = ", ".join(f"{len(sources)} in {key}" for key, sources in audit["blank"].items()) or "none"
    conflicts = ", ".join(f"{n} in {name}" for name, n in audit["conflicts"]["by_corpus"].items() if n) or "none"
    return f"""## Duplicates between splits

Near: correlation above {NEAR}, the definition of the corpora's README, so that its counts can be compared. The last
column says of how many of these twins `imagehash.phash` differs in at most 4 bits of 64; that hash alone would find,
for test images in their corpus's own training split: {hashes or "–"}.

![share of each split's images with a twin in another](audit_duplicates.png)

{table(header, rows)}

Against the counts of the corpora's README:

{table(("what", "README", "here"), counted)}

The README counted on the paper's own aggregate. Of FER2013's 35,887 images this copy has {fer_images(audit):,}, which
may be why two counts are not met to the last image.

Images of one grey: {blank}.

## Conflicting labels

Groups of images with the same pixels and more than one label: {audit["conflicts"]["six_classes"]} with the six
emotions, {audit["conflicts"]["all_classes"]} with all labels ({conflicts}).
"""


def labels_section(audit: dict) -> str:
    parts = []
    if plus := audit.get("ferplus"):
        rows = [(name, percent(row["other"], row["images"])) for name, row in plus["by_label"].items()]
        frequent = [(row["label"], row["votes"], row["images"]) for row in plus["most_frequent"]]
        parts.append(f"""## FER+ against FER2013's labels

{plus["with_votes"]:,} of {plus["images"]:,} images have votes. FER+'s most voted option is another than FER2013's label
for {percent(plus["other"], plus["with_votes"])}; for {plus["tied"]:,} more the vote is tied.

{table(("FER2013's label", "another by FER+"), rows)}

{table(("FER2013's label", "most voted", "images"), frequent)}
""")
    if ffhq := audit.get("ffhq"):
        sharp = ffhq["sharpness_tells_source"]
        every = ffhq["happy_from_ffhq"] + ffhq["other_from_ffhq"]
        parts.append(f"""## A shortcut in AffectNet's selection

Of its happy faces {percent(ffhq["happy_from_ffhq"], ffhq["happy"])} come from FFHQ, and of its FFHQ faces
{percent(ffhq["happy_from_ffhq"], every)} are happy: who knows only the source tells happy from the rest with
{100 * ffhq["accuracy_of_source_alone"]:.1f} % accuracy. Sharpness alone (variance of the Laplacian,
{sharp["images"]:,} images) tells the source with an area under the ROC curve of {sharp["as_they_are"]:.2f}; after
shared resampling, blur and JPEG, each for half of the images, of {sharp["augmented"]:.2f} (0.50 would be not at all).
""")
    return "\n".join(parts)


def files_section(audit: dict) -> str:
    rows = [
        (name, len(audit["problems"][name]), percent(found["without_face"], found["looked_at"]))
        for name, found in audit["faces"].items()
    ]
    return f"""## Files and faces

Unreadable, mislabelled or missing files, and images in which our face detector finds no face (a seeded sample of each
corpus; the crop in a frame of its border's colours, twice its side). No face found is not no face there: a crop of 48
pixels, or one without forehead and chin, is hard for a detector.

{table(("corpus", "problems with files", "no face found"), rows)}
"""


def counts_section(audit: dict) -> str:
    rows = [
        (corpus, split, sum(labels.values()), *(labels.get(name, 0) for name in LABELS))
        for corpus, splits in audit["counts"].items()
        for split, labels in splits.items()
    ]
    ratios, shares = audit["imbalance"]["largest_over_smallest_class"], audit["imbalance"]["share_of_training"]
    balance = [
        (name, f"{ratio:.1f}" if ratio else "a class is empty", f"{100 * shares[name]:.1f} %")
        for name, ratio in ratios.items()
    ]
    header = (
        "corpus, training split",
        "largest class over smallest of the six",
        "share of all six-class training images",
    )
    return f"""## Images

![classes of each corpus](audit_classes.png)

{table(("corpus", "split", "images", *LABELS), rows)}

{table(header, balance)}
"""


def write_report(folder: Path) -> Path:
    """Write `AUDIT.md` and its two figures beside `audit.json`; returns the page's path."""
    audit = json.loads((folder / "audit.json").read_text())
    draw_counts(audit, folder / "audit_classes.png")
    draw_duplicates(audit, folder / "audit_duplicates.png")
    sections = [counts_section, leaks_section, duplicates_section, labels_section, files_section]
    head = "# How far the corpora can be trusted\n\nWritten by `python -m training.audit`; do not edit.\n"
    (folder / REPORT).write_text("\n".join([head, *(section(audit) for section in sections)]))
    return folder / REPORT


if __name__ == "__main__":
    script = Script("training.audit.report", __doc__, store="--out")
    raise SystemExit(script.run(lambda args: print(f"wrote {write_report(args.out)}")))
