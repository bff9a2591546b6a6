"""Markdown tables out of the store, by name, for READMEs and cards. No number is ever written by hand beside them."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from gimefive_hf.configuration_gimefive import EMOTIONS
from gimefive_hf.metrics import mcnemar, permutation_test
from gimefive_hf.result_queries import (
    CORPUS_TITLES,
    FLAGSHIP,
    IN_THE_WILD,
    POSED,
    aligned_predictions,
    find_row,
    order_models,
    right_of,
    tested_corpora,
)
from gimefive_hf.result_rows import image_groups
from gimefive_hf.results import Store

from .corruptions import CORRUPTIONS, STRENGTHS

MISSING = "–"


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


def headline(store: Store) -> str:
    """Accuracy on the two official test splits and both together: ours, the published peers, the paper's table."""
    corpora = ("raf-db", "fer2013", "aggregate")
    sizes = [find_row(store, model, corpus=c) for c in corpora for model in (FLAGSHIP,)]
    if sizes[0] is None:
        return no_results()
    header = ["accuracy in %, six classes [95 % interval]", "parameters"]
    header += [
        f"{CORPUS_TITLES[c]} test ({MISSING if s is None else format(s['n_total'], ',')})"
        for c, s in zip(corpora, sizes, strict=True)
    ]
    rows = []
    for model in order_models(store):
        cells = [percent(find_row(store, model, corpus=c)) for c in corpora]
        rows.append([emphasise(model), f"{store.models[model].parameters:,}", *cells])
        leak_free = [percent(find_row(store, model, corpus=c, subset="leak-free"), n=True) for c in corpora]
        if model == FLAGSHIP and any(cell != MISSING for cell in leak_free):
            rows.append([f"{model}, leak-free test images", "", *leak_free])
    table = store.published[store.published["publication"].str.startswith("GiMeFive paper")]
    for model, part in table.groupby("model", sort=False):
        values = {row.corpus: f"{100 * row.value:.1f}" for row in part.itertuples()}
        if any(c in values for c in corpora):
            cells = [values.get(c, MISSING) for c in corpora]
            rows.append([f"paper: {model}", f"{part['parameters'].iloc[0]:,}", *cells])
    note = (
        "Rows of the paper are as published, each number of a model trained on that column's corpus, selected on a set "
        "that consists of RAF-DB test images, without intervals. Peers of seven classes are restricted to the six."
    )
    return f"{markdown_table(header, rows)}\n\n{note}"


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
    rows = []
    for model in sorted(models, key=lambda m: (store.models[m].trained_on.count("+"), m)):
        cells = [percent(find_row(store, model, corpus=c)) for c in corpora]
        rows.append([model.removeprefix("cross-"), *cells])
    slides = store.published[store.published["publication"].str.contains("slides")]
    for trained_on, part in slides.groupby("trained_on", sort=False):
        values = {row.corpus: f"{100 * row.value:.1f}" for row in part.itertuples()}
        rows.append([f"published: {trained_on}", *[values.get(c, MISSING) for c in corpora]])
    note = (
        "Ours: frozen face-identity features and a linear classifier, the same for all; accuracy in % [95 % interval], "
        "six classes. Published: a fine-tuned VGG16 on other test splits."
    )
    return f"{markdown_table(header, rows)}\n\n{note}"


def robustness(store: Store, model: str = FLAGSHIP) -> str:
    """Accuracy under each corruption at five strengths, and found again by our detector."""
    corrupted = store.results[(store.results["model"] == model) & store.results["protocol"].str.startswith("corrupted")]
    if not len(corrupted):
        return f"_The store has no corrupted predictions of {model} yet._"
    corpus = corrupted["corpus"].iloc[0]
    rows = []
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
        counts = [f"{100 * right[part].mean():.1f} of {part.sum():,}" for part in (first, ~first)]
        rows.append([title, *counts, f"{100 * difference:+.1f}", f"{p:.3f}"])
    if not rows:
        return no_results(model)
    table = markdown_table(["subgroups", "accuracy % of first", "of second", "difference", "p (permutation)"], rows)
    return (
        f"{table}\n\nThese corpora tell nothing of age, skin colour or culture per image, and of sex only TFEID does, "
        "for a handful of posed subjects. That no difference is seen here does not mean that there is none."
    )


def peers(store: Store) -> str:
    """The flagship against the other models, image by image (McNemar's exact test on the aggregate test split)."""
    corpora = ("raf-db", "fer2013")
    ours = aligned_predictions(store, FLAGSHIP, corpora).set_index(["corpus", "source"])
    rows = []
    for model in order_models(store)[1:] if len(ours) else []:
        theirs = aligned_predictions(store, model, corpora).set_index(["corpus", "source"])
        shared = ours.index.intersection(theirs.index)
        if len(shared):
            only_ours, only_theirs, p = mcnemar(right_of(ours.loc[shared]), right_of(theirs.loc[shared]))
            rows.append([model, f"{len(shared):,}", f"{only_ours:,}", f"{only_theirs:,}", f"{p:.2g}"])
    header = ["against", "shared images", "only gimefive right", "only the other right", "p (McNemar)"]
    return markdown_table(header, rows) if rows else no_results()


def faithfulness(store: Store, model: str = FLAGSHIP) -> str:
    """What the explanation methods are worth, as far as `training.faithfulness` has measured it."""
    table = store.extras.get("faithfulness")
    if table is None or model not in set(table["model"]):
        return f"_The store has no measurement of the explanations of {model} yet._"
    rows = []
    for row in table[table["model"] == model].sort_values("gap", ascending=False).itertuples():
        gap = f"{row.gap:.3f} [{row.gap_low:.3f}, {row.gap_high:.3f}]"
        rows.append([row.method, f"{row.images:,}", gap, str(row.verdict)])
    return markdown_table(["map", "images", "insertion − deletion [95 % interval]", "verdict"], rows)


TABLES: dict[str, Callable[[Store], str]] = {
    "headline": headline,
    "per-corpus": per_corpus,
    "per-class": per_class,
    "cross-dataset": cross_dataset,
    "robustness": robustness,
    "detected": detected,
    "subgroups": subgroups,
    "peers": peers,
    "faithfulness": faithfulness,
}
