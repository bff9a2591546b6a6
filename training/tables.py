"""Markdown tables out of the store, by name, for READMEs and cards. No number is ever written by hand beside them."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from gimefive_hf.configuration_gimefive import EMOTIONS
from gimefive_hf.metrics import mcnemar, mean_interval, permutation_test
from gimefive_hf.result_queries import (
    CORPUS_TITLES,
    FLAGSHIP,
    IN_THE_WILD,
    POSED,
    aligned_predictions,
    corpora_of,
    find_row,
    order_models,
    right_of,
    tested_corpora,
)
from gimefive_hf.result_rows import image_groups
from gimefive_hf.results import Store

from .corruptions import CORRUPTIONS, STRENGTHS
from .scorers import hash_file

MISSING = "–"
CHECKPOINTS = Path(__file__).parents[1] / "gimefive_hf" / "checkpoints"


def markdown_table(header: list[str], rows: Iterable[list[str]]) -> str:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def percent(row: pd.Series | None, n: bool = False) -> str:
    """`86.5 [85.1, 87.8]` in percent, with the denominator if asked; a dash where there is no such row or value."""
    if row is None or np.isnan(row["value"]):
        return MISSING
    text = f"{100 * row['value']:.1f}"
    if not np.isnan(row["low"]):
        text += f" [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
    return f"{text} of {row['n_scored']:,}" if n else text


def plain(row: pd.Series | None) -> str:
    if row is None or np.isnan(row["value"]):
        return MISSING
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def no_results(model: str = FLAGSHIP) -> str:
    return f"_The store has no results of {model} yet._"


def trained_on(store: Store, model: str) -> str:
    """The corpora's titles, or how many they are."""
    names = store.models[model].trained_on.split("+")
    return ", ".join(CORPUS_TITLES.get(name, name) for name in names) if len(names) < 3 else f"{len(names)} corpora"


def headline(store: Store) -> str:
    """Accuracy on the two official test splits and both together: ours, the published peers, the paper's table."""
    corpora = ("raf-db", "fer2013", "aggregate")
    models = order_models(store)
    sizes = {c: [row["n_total"] for m in models if (row := find_row(store, m, corpus=c)) is not None] for c in corpora}
    if not any(sizes.values()):
        return no_results()
    header = ["accuracy in %, six classes [95 % interval]", "trained on", "parameters"]
    header += [f"{CORPUS_TITLES[c]} test ({max(sizes[c]):,})" if sizes[c] else CORPUS_TITLES[c] for c in corpora]
    rows = []
    for model in models:
        cells = [percent(find_row(store, model, corpus=c)) for c in corpora]
        rows.append([emphasise(model), trained_on(store, model), f"{store.models[model].parameters:,}", *cells])
        leak_free = [percent(find_row(store, model, corpus=c, subset="leak-free"), n=True) for c in corpora]
        if is_ours(model) and any(cell != MISSING for cell in leak_free):
            rows.append([f"{model}, leak-free test images", "", "", *leak_free])
    table = store.published[store.published["publication"].str.startswith("GiMeFive paper")]
    for model, part in table.groupby("model", sort=False):
        values = {row.corpus: f"{100 * row.value:.1f}" for row in part.itertuples()}
        if any(c in values for c in corpora):
            cells = [values.get(c, MISSING) for c in corpora]
            rows.append([f"paper: {model}", "the column's corpus", f"{part['parameters'].iloc[0]:,}", *cells])
    note = (
        "Rows of the paper are as published, each number of a model trained on that column's corpus, selected on a set "
        "that consists of RAF-DB test images, without intervals. Peers of seven classes are restricted to the six."
    )
    return f"{markdown_table(header, rows)}\n\n{note}"


def is_ours(model: str) -> bool:
    return model.startswith(FLAGSHIP)


def emphasise(model: str) -> str:
    return f"**{model}**" if model == FLAGSHIP else model


def per_corpus(store: Store, model: str = FLAGSHIP) -> str:
    """All metrics of one model on every test split."""
    rows = []
    for corpus in tested_corpora(store, model):
        for subset in ("full", "leak-free"):
            accuracy = find_row(store, model, corpus=corpus, subset=subset)
            if accuracy is None:
                continue
            where = {"corpus": corpus, "subset": subset}
            rows.append(
                [
                    f"{CORPUS_TITLES[corpus]}{', leak-free' if subset == 'leak-free' else ''}",
                    f"{accuracy['n_scored']:,}",
                    percent(accuracy),
                    percent(find_row(store, model, "balanced_accuracy", **where)),
                    percent(find_row(store, model, "macro_f1", **where)),
                    percent(find_row(store, model, "expected_calibration_error", **where)),
                    plain(find_row(store, model, "negative_log_likelihood", **where)),
                ]
            )
    header = [
        "test split",
        "images",
        "accuracy %",
        "balanced accuracy %",
        "macro-F1 %",
        "calibration error %",
        "log-loss",
    ]
    return markdown_table(header, rows) if rows else no_results(model)


def per_class(store: Store, model: str = FLAGSHIP) -> str:
    """Recall and precision of each class on the aggregate test split."""
    rows = []
    for name in EMOTIONS:
        recall = find_row(store, model, "recall", corpus="aggregate", **{"class": name})
        if recall is not None:
            precision = find_row(store, model, "precision", corpus="aggregate", **{"class": name})
            rows.append([name, percent(recall, n=True), percent(precision, n=True)])
    return (
        markdown_table(["class", "recall % of its images", "precision % of its predictions"], rows)
        if rows
        else no_results(model)
    )


def cross_dataset(store: Store) -> str:
    """Trained on × tested on, one cheap recipe for all, with the published figures where the corpora agree."""
    models = [name for name in store.models if name.startswith("cross-")]
    if not models:
        return "_The store has no cross-dataset models yet._"
    corpora = [
        c
        for c in CORPUS_TITLES
        if any(find_row(store, m, corpus=c) is not None for m in models) and c != "gimefive-valid"
    ]
    sizes = {
        c: max(row["n_total"] for row in (find_row(store, m, corpus=c) for m in models) if row is not None)
        for c in corpora
    }
    header = ["trained on", *[f"{CORPUS_TITLES[c]} ({sizes[c]:,})" for c in corpora]]
    slides = store.published[store.published["publication"].str.contains("slides")]
    published = {
        # "affectnet+fer2013, 48 px" is our cross-affectnet-fer2013-48px
        "cross-" + name.replace(", ", "-").replace("+", "-").replace(" px", "px"): (name, part)
        for name, part in slides.groupby("trained_on", sort=False)
    }
    rows = []
    for model in sorted({*models, *published}, key=lambda m: (m == "cross-all", m.count("-"), m)):
        if model in store.models:
            rows.append([model.removeprefix("cross-"), *[percent(find_row(store, model, corpus=c)) for c in corpora]])
        if model in published:
            name, part = published[model]
            values = {row.corpus: f"{100 * row.value:.1f}" for row in part.itertuples()}
            rows.append([f"*published: {name}*", *[values.get(c, MISSING) for c in corpora]])
    note = (
        "Ours: frozen face-identity features and a linear classifier, the same for all; accuracy in % [95 % interval], "
        'six classes; test images in the header. "all": RAF-DB, FER2013, AffectNet, CK+ and TFEID. Published: '
        "slides about a fine-tuned VGG16, on test splits of their own, of unpublished size, without intervals."
    )
    return f"{markdown_table(header, rows)}\n\n{note}"


def accuracy_of(frame: pd.DataFrame) -> str:
    """Accuracy of predictions with interval, in percent."""
    right = right_of(frame).astype(float)
    low, high = mean_interval(right, image_groups(frame))
    return f"{100 * right.mean():.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def robustness(store: Store, model: str = FLAGSHIP) -> str:
    """Accuracy under each corruption at five strengths, and found again by our detector."""
    corrupted = store.results[(store.results["model"] == model) & store.results["protocol"].str.startswith("corrupted")]
    if not len(corrupted):
        return f"_The store has no corrupted predictions of {model} yet._"
    corpus = corrupted["corpus"].iloc[0]
    aligned = aligned_predictions(store, model, [corpus])
    drawn = store.predictions[store.predictions["protocol"].isin(corrupted["protocol"].unique())]
    aligned = aligned[aligned["source"].isin(drawn[drawn["model"] == model]["source"].unique())]
    rows = []
    if len(aligned):
        rows.append(["the same images as given", accuracy_of(aligned), *[""] * (len(STRENGTHS) - 1)])
    for name in CORRUPTIONS:
        cells = [percent(find_row(store, model, corpus=corpus, protocol=f"corrupted/{name}/{s}")) for s in STRENGTHS]
        rows.append([name.replace("_", " "), *cells])
    n = corrupted["n_total"].max()
    header = [f"{CORPUS_TITLES[corpus]} test, {n:,} images, accuracy %", *[f"strength {s}" for s in STRENGTHS]]
    return markdown_table(header, rows)


def detected(store: Store, model: str = FLAGSHIP) -> str:
    """Aligned against found again in a scene."""
    rows = []
    for corpus in tested_corpora(store, model):
        found = find_row(store, model, "faces_found", corpus=corpus, protocol="detected")
        if found is not None:
            accuracy = find_row(store, model, corpus=corpus, protocol="detected")
            of_all = find_row(store, model, "accuracy_of_all", corpus=corpus, protocol="detected")
            aligned = find_row(store, model, corpus=corpus)
            rows.append(
                [
                    CORPUS_TITLES[corpus],
                    percent(aligned, n=True),
                    percent(found, n=True),
                    percent(accuracy, n=True),
                    percent(of_all, n=True),
                ]
            )
    header = [
        "test split",
        "aligned crops: accuracy %",
        "faces found again %",
        "accuracy % of found",
        "accuracy % of all",
    ]
    return markdown_table(header, rows) if rows else f"_The store has no detected predictions of {model} yet._"


def subgroups(store: Store, model: str = FLAGSHIP) -> str:
    """Accuracy by subgroup with a permutation test of the difference, as far as the corpora tell subgroups."""
    cases = []
    tfeid = aligned_predictions(store, model, ["tfeid"])
    if len(tfeid):
        cases.append(("TFEID: women against men, by subject", tfeid, tfeid["subject"].str.startswith("f").to_numpy()))
    everything = aligned_predictions(store, model, [*IN_THE_WILD, *POSED])
    wild = everything["corpus"].isin(IN_THE_WILD).to_numpy()
    if wild.any() and not wild.all():
        cases.append(("in the wild against posed", everything, wild))
    rows = []
    for title, frame, first in cases:
        right = right_of(frame)
        difference, p = permutation_test(right.astype(float), first, image_groups(frame))
        counts = [f"{accuracy_of(frame[part])} of {part.sum():,}" for part in (first, ~first)]
        rows.append([title, *counts, f"{100 * difference:+.1f}", f"{p:.3f}"])
    if not rows:
        return no_results(model)
    table = markdown_table(
        ["subgroups", "accuracy % of first [95 % interval]", "of second", "difference", "p (permutation)"], rows
    )
    return (
        f"{table}\n\nThese corpora tell nothing of age, skin colour or culture per image, and of sex only TFEID does, "
        "for a handful of posed subjects. That no difference is seen here does not mean that there is none."
    )


def peers(store: Store, model: str = FLAGSHIP) -> str:
    """A model against the others, image by image (McNemar's exact test on the aggregate test split)."""
    corpora = ("raf-db", "fer2013")
    ours = aligned_predictions(store, model, corpora).set_index(["corpus", "source"])
    rows = []
    for other in [name for name in order_models(store) if name != model] if len(ours) else []:
        theirs = aligned_predictions(store, other, corpora).set_index(["corpus", "source"])
        shared = ours.index.intersection(theirs.index)
        if len(shared):
            only_ours, only_theirs, p = mcnemar(right_of(ours.loc[shared]), right_of(theirs.loc[shared]))
            rows.append([other, f"{len(shared):,}", f"{only_ours:,}", f"{only_theirs:,}", f"{p:.2g}"])
    header = ["against", "shared images", f"only {model} right", "only the other right", "p (McNemar)"]
    return markdown_table(header, rows) if rows else no_results(model)


def leakage(store: Store, model: str = FLAGSHIP) -> str:
    """Test images with a twin in training data, as `training.audit` found them, and what leaving them out changes."""
    leaked = store.extras.get("leaked_test_images")
    if leaked is None:
        return "_The store has no list of leaked test images yet (`python -m training.audit`)._"
    keys = pd.MultiIndex.from_frame(leaked[["corpus", "source"]])
    rows = []
    for corpus in tested_corpora(store, model):
        frame = aligned_predictions(store, model, corpora_of(corpus))
        twin = pd.MultiIndex.from_frame(frame[["corpus", "source"]]).isin(keys)
        full, clean = (find_row(store, model, corpus=corpus, subset=subset) for subset in ("full", "leak-free"))
        share = f"{twin.sum():,} ({100 * twin.mean():.1f} %)" if len(frame) else MISSING
        rows.append([CORPUS_TITLES[corpus], f"{len(frame):,}", share, percent(full), percent(clean, n=True)])
    header = ["test split", "images", "with a twin in training data", "accuracy %, all", "accuracy %, leak-free"]
    table = markdown_table(header, rows) if rows else no_results(model)
    twins = store.extras.get("valid_twins")
    if twins is not None:
        table += (
            f"\n\nOf the GiMeFive paper's validation set {len(twins):,} images are images of the *test* splits of "
            f"{', '.join(CORPUS_TITLES.get(c, c) for c in sorted(twins['twin_corpus'].unique()))}. It is reported for "
            "comparison with the paper and used for nothing else."
        )
    return table


def faithfulness(store: Store, model: str = FLAGSHIP) -> str:
    """What the explanation methods are worth, as far as `training.faithfulness` has measured it."""
    table = store.extras.get("faithfulness")
    if table is None or model not in set(table["model"]):
        return f"_The store has no measurement of the explanations of {model} yet._"
    rows = []
    for row in table[table["model"] == model].sort_values("gap", ascending=False).itertuples():
        gap = f"{row.gap:.3f} [{row.gap_low:.3f}, {row.gap_high:.3f}]"
        rows.append([row.method, f"{row.images:,}", gap, str(row.verdict)])
    text = markdown_table(["map", "images", "insertion − deletion [95 % interval]", "verdict"], rows)
    measured = set(table[table["model"] == model]["weights"].astype(str))
    weights = CHECKPOINTS / model / "model.safetensors"
    if weights.is_file() and measured != {hash_file(weights)}:
        text += f"\n\nMeasured on earlier weights of {model} ({', '.join(sorted(measured))}), not on the present ones."
    return text


# Tables of the whole store, and tables of one model, the flagship by default.
STORE_TABLES: dict[str, Callable[[Store], str]] = {"headline": headline, "cross-dataset": cross_dataset}
MODEL_TABLES: dict[str, Callable[..., str]] = {
    "per-corpus": per_corpus,
    "per-class": per_class,
    "robustness": robustness,
    "detected": detected,
    "subgroups": subgroups,
    "peers": peers,
    "leakage": leakage,
    "faithfulness": faithfulness,
}
TABLES = STORE_TABLES | MODEL_TABLES
