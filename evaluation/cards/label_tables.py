"""Markdown about the labels themselves: other annotators' opinions, and FER2013 as its field reports it."""

from typing import Any

import pandas as pd

from gimefive_hf.emotions import EMOTIONS

from ..analyses.second_opinions import annotator_shares, fer2013_parts, neutral_by_annotators, second_label_shares
from ..corpora import corpora_with, title_of
from ..queries import FLAGSHIP, find_row, interval_text, order_models
from ..store import NEUTRAL, Store
from .markdown import MISSING, markdown_table, percent

SUBSETS = {
    "all": "five or more votes for the six",
    "no tie": "of these, one emotion has most votes",
    "leak-free": "of the first, without a twin in training data",
    "8 or more agree": "eight or more of ten agree",
}
FIELD = ("PublicTest", "PrivateTest")


def share_cells(shares: pd.DataFrame) -> dict[tuple[str, str], str]:
    """(subset, compared) → `86.5 [85.1, 87.8]`."""
    return {(row.subset, row.compared): interval_text(row.share, row.low, row.high) for row in shares.itertuples()}


def annotators(store: Store, model: str = FLAGSHIP) -> str:
    """A model and FER2013's own labels against the majority of FER+'s annotators."""
    shares = annotator_shares(store, model)
    if not len(shares):
        return f"_The store has no FER+ votes, or no predictions of {model} on FER2013, yet._"
    cells, images = share_cells(shares), dict(zip(shares["subset"], shares["images"], strict=True))
    rows = [
        [
            SUBSETS.get(subset, f"{subset.split()[0]} of ten agree"),
            f"{n:,}",
            cells[subset, "model"],
            cells[subset, "label"],
        ]
        for subset, n in images.items()
    ]
    table = markdown_table(["FER2013 test, by FER+'s votes", "images", f"{model} %", "FER2013's own label %"], rows)
    note = (
        "How often each gives the emotion that most of the ten annotators chose among the six [95 % interval, Wilson]."
    )
    neutral = neutral_by_annotators(store)
    if neutral:
        note += (
            f" Of {neutral[1]:,} test faces with an emotion for a label, {neutral[0]:,} are neutral to most of them."
        )
    return f"{table}\n\n{note}"


def labels_sentence(store: Store, model: str = FLAGSHIP) -> str:
    """What the labels allow, in one sentence."""
    shares = annotator_shares(store, model).set_index(["subset", "compared"])
    if not len(shares):
        return annotators(store, model)

    def text(subset: str, compared: str) -> str:
        row = shares.loc[(subset, compared)]
        return f"{100 * row['share']:.1f} % [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"

    n, many = (f"{shares.loc[(subset, 'model'), 'images']:,}" for subset in ("all", "8 or more agree"))
    return (
        f"The labels are the ceiling: on {n} of FER2013's test faces `{model}` gives the emotion that most of FER+'s "
        f"ten annotators chose in {text('all', 'model')} of the cases, FER2013's own label in {text('all', 'label')}; "
        f"on the {many} on which eight or more agree, {text('8 or more agree', 'model')} and "
        f"{text('8 or more agree', 'label')}."
    )


def second_labels(store: Store, model: str = FLAGSHIP) -> str:
    """AffectNet's test images by folder and by second label."""
    shares = second_label_shares(store, model)
    if not len(shares):
        return f"_The store has no second labels, or no predictions of {model} on AffectNet, yet._"
    cells, images = share_cells(shares), dict(zip(shares["subset"], shares["images"], strict=True))
    rows = []
    for subset, n in images.items():
        agree = subset.endswith("both labels agree")
        compared = ("model, folder", "model, second", "folder, second")
        rows.append([subset, f"{n:,}", *[MISSING if agree and i else cells[subset, c] for i, c in enumerate(compared)]])
    header = [
        "AffectNet copy, test",
        "images",
        f"{model}, by folder %",
        f"{model}, by second label %",
        "folder by second %",
    ]
    note = (
        "Images whose second label is one of the six. By its source the second label is another model's: evidence "
        "about the folders, not truth."
    )
    return f"{markdown_table(header, rows)}\n\n{note}"


def fer2013_field(store: Store) -> str:
    """FER2013 with seven classes, PublicTest and PrivateTest apart: models that know neutral, and the literature."""
    rows = []
    for model in order_models(store):
        cells = share_cells(fer2013_parts(store, model))
        if cells:
            neutral = [cells[f"{part}, neutral faces", "model"] for part in FIELD]
            rows.append([model, *[cells[part, "model"] for part in FIELD], *neutral])
    for row in store.published[store.published["metric"] == "accuracy_7"].sort_values("value").itertuples():
        values = [f"{100 * row.value:.1f}" if row.split == part else MISSING for part in FIELD]
        rows.append([f"*{row.publication}: {row.model}*", *values, MISSING, MISSING])
    if not rows:
        return "_The store has no model of seven classes yet._"
    sizes = {part: n for m in order_models(store) for part, n in parts_sizes(store, m).items()}
    header = ["seven classes, accuracy in % [95 % interval]"]
    header += [f"{part} ({sizes[part]:,})" if part in sizes else part for part in FIELD]
    header += [f"neutral faces of {part}" for part in FIELD]
    return (
        f"{markdown_table(header, rows)}\n\nRows in italics are as published, on 3,589 images each, without intervals."
    )


def neutral_elsewhere(store: Store) -> str:
    """Models that know neutral on corpora that show only some of the classes; the answer is one of all seven."""
    rows, shown = [], ("happiness", NEUTRAL)
    for corpus in corpora_with(neutral_test=True):
        for model in order_models(store):
            where: dict[str, Any] = {"corpus": corpus, "classes": len(EMOTIONS) + 1}
            accuracy = find_row(store, model, **where)
            if accuracy is not None:
                recalls = [
                    percent(find_row(store, model, "recall", **where | {"class": name}), n=True) for name in shown
                ]
                rows.append([title_of(corpus), model, percent(accuracy, n=True), *recalls])
    if not rows:
        return "_The store has no model of seven classes yet._"
    header = ["test split", "model", "accuracy in % [95 % interval]", *[f"{name} recognised" for name in shown]]
    return markdown_table(header, rows)


def parts_sizes(store: Store, model: str) -> dict[str, int]:
    """Images of each part that a model was tested on."""
    shares = fer2013_parts(store, model)
    return dict(zip(shares["subset"], shares["images"], strict=True))
