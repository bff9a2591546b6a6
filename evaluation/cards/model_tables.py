"""Markdown tables of one model, the flagship by default, for READMEs and cards."""

import pandas as pd

from gimefive_hf.emotions import EMOTIONS

from ..corpora import corpora_of, corpora_with, title_of
from ..corruptions import CORRUPTIONS, STRENGTHS
from ..metrics import METRICS, mcnemar, mean_interval, permutation_test
from ..queries import (
    FLAGSHIP,
    aligned_predictions,
    as_given,
    find_row,
    interval_text,
    of_other_weights,
    order_models,
    right_of,
    tested_corpora,
)
from ..rows import has_twin, image_groups
from ..store import Store
from .markdown import MISSING, markdown_table, no_results, percent, plain


def per_corpus(store: Store, model: str = FLAGSHIP) -> str:
    """All metrics of one model on every test split."""
    rows = []
    for corpus in tested_corpora(store, model):
        for subset in ("full", "leak-free"):
            accuracy = find_row(store, model, corpus=corpus, subset=subset)
            if accuracy is None:
                continue
            *shares, loss = (find_row(store, model, metric, corpus=corpus, subset=subset) for metric in METRICS)
            name = f"{title_of(corpus)}{', leak-free' if subset == 'leak-free' else ''}"
            rows.append([name, f"{accuracy['n_scored']:,}", *map(percent, shares), plain(loss)])
    header = ["test split", "images", "accuracy %", "balanced accuracy %", "macro-F1 %", "calibration error %"]
    header.append("log-loss")
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


def accuracy_of(frame: pd.DataFrame) -> str:
    """Accuracy of predictions with interval, in percent."""
    right = right_of(frame).astype(float)
    return interval_text(right.mean(), *mean_interval(right, image_groups(frame)))


def robustness(store: Store, model: str = FLAGSHIP) -> str:
    """Accuracy under each corruption at five strengths, and found again by our detector."""
    corrupted = store.results[(store.results["model"] == model) & store.results["protocol"].str.startswith("corrupted")]
    if not len(corrupted):
        return f"_The store has no corrupted predictions of {model} yet._"
    corpus = corrupted["corpus"].iloc[0]
    aligned = as_given(store, model, corpus, corrupted["protocol"].unique())
    rows = []
    if len(aligned):
        rows.append(["the same images as given", accuracy_of(aligned), *[""] * (len(STRENGTHS) - 1)])
    for name in CORRUPTIONS:
        cells = [percent(find_row(store, model, corpus=corpus, protocol=f"corrupted/{name}/{s}")) for s in STRENGTHS]
        rows.append([name.replace("_", " "), *cells])
    n = corrupted["n_total"].max()
    header = [f"{title_of(corpus)} test, {n:,} images, accuracy %", *[f"strength {s}" for s in STRENGTHS]]
    return markdown_table(header, rows)


def detected(store: Store, model: str = FLAGSHIP) -> str:
    """Aligned against found again in a scene."""
    rows = []
    for corpus in tested_corpora(store, model):
        found = find_row(store, model, "faces_found", corpus=corpus, protocol="detected")
        if found is not None:
            accuracy = find_row(store, model, corpus=corpus, protocol="detected")
            of_all = find_row(store, model, "accuracy_of_all", corpus=corpus, protocol="detected")
            cells = [find_row(store, model, corpus=corpus), found, accuracy, of_all]
            rows.append([title_of(corpus), *(percent(row, n=True) for row in cells)])
    header = ["test split", "aligned crops: accuracy %", "faces found again %"]
    header += ["accuracy % of found", "accuracy % of all"]
    return markdown_table(header, rows) if rows else f"_The store has no detected predictions of {model} yet._"


def subgroups(store: Store, model: str = FLAGSHIP) -> str:
    """Accuracy by subgroup with a permutation test of the difference, as far as the corpora tell subgroups."""
    cases = []
    tfeid = aligned_predictions(store, model, ["tfeid"])
    if len(tfeid):
        cases.append(("TFEID: women against men, by subject", tfeid, tfeid["subject"].str.startswith("f").to_numpy()))
    everything = aligned_predictions(store, model, [*corpora_with(setting="wild"), *corpora_with(setting="posed")])
    wild = everything["corpus"].isin(corpora_with(setting="wild")).to_numpy()
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
    rows = []
    for corpus in tested_corpora(store, model):
        frame = aligned_predictions(store, model, corpora_of(corpus))
        twin = has_twin(frame, leaked)
        full, clean = (find_row(store, model, corpus=corpus, subset=subset) for subset in ("full", "leak-free"))
        share = f"{twin.sum():,} ({100 * twin.mean():.1f} %)" if len(frame) else MISSING
        rows.append([title_of(corpus), f"{len(frame):,}", share, percent(full), percent(clean, n=True)])
    header = ["test split", "images", "with a twin in training data", "accuracy %, all", "accuracy %, leak-free"]
    table = markdown_table(header, rows) if rows else no_results(model)
    twins = store.extras.get("valid_twins")
    if twins is not None:
        table += (
            f"\n\nOf the GiMeFive paper's validation set {len(twins):,} images are images of the *test* splits of "
            f"{', '.join(title_of(c) for c in sorted(twins['twin_corpus'].unique()))}. It is reported for "
            "comparison with the paper and used for nothing else."
        )
    return table


def faithfulness(store: Store, model: str = FLAGSHIP) -> str:
    """What the explanation methods are worth, as far as `training.measuring.faithfulness` has measured it."""
    table = store.extras.get("faithfulness")
    if table is None or model not in set(table["model"]):
        return f"_The store has no measurement of the explanations of {model} yet._"
    measured, rows = table[table["model"] == model], []
    for row in measured.sort_values("gap", ascending=False).itertuples():
        gap = f"{row.gap:.3f} [{row.gap_low:.3f}, {row.gap_high:.3f}]"
        rows.append([row.method, f"{row.images:,}", gap, str(row.verdict)])
    text = markdown_table(["map", "images", "insertion − deletion [95 % interval]", "verdict"], rows)
    if of_other_weights(measured, model):
        earlier = ", ".join(sorted(set(measured["weights"].astype(str))))
        text += f"\n\nMeasured on earlier weights of {model} ({earlier}), not on the present ones."
    return text


def trusted_methods(store: Store) -> str:
    """Of each measured model, in a sentence: which methods of explanation are worth trusting, and which are not."""
    table = store.extras.get("faithfulness")
    if table is None:
        return "_The store has no measurement of explanations yet._"
    sentences = []
    for model, rows in table[table["kind"] == "method"].groupby("model"):
        worth = rows["verdict"] == "worth trusting"
        trusted, others = (", ".join(f"`{name}`" for name in sorted(rows[some]["method"])) for some in (worth, ~worth))
        sentences.append(
            f"On {rows['images'].max():,} faces of `{model}` {trusted or 'no method'} proved worth trusting; "
            f"{others or 'no other'} did not."
        )
    return " ".join(sentences)
