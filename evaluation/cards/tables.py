"""Markdown tables out of the store, by name, for READMEs and cards. No number is ever written by hand beside them."""

from collections.abc import Callable
from functools import partial
from math import isnan

from ..analyses.cross_dataset import LINEAR, SLIDES, TRAINED, about_text, cross_models, trained_title
from ..analyses.paper_table import NETWORKS, augmentation_sentence, changes, model_of, paper_table, summary
from ..corpora import corpus_titles, title_of
from ..queries import FLAGSHIP, WITH_NEUTRAL, find_row, order_models
from ..store import Store
from .deployed_tables import confidence, deployed, hard_faces
from .label_tables import annotators, fer2013_field, labels_sentence, neutral_elsewhere, second_labels
from .markdown import MISSING, markdown_table, no_results, percent
from .model_tables import (
    detected,
    faithfulness,
    leakage,
    peers,
    per_class,
    per_corpus,
    robustness,
    subgroups,
    trusted_methods,
)


def trained_on(store: Store, model: str) -> str:
    """The corpora's titles, or how many they are."""
    names = store.models[model].trained_on.split("+")
    return ", ".join(title_of(name) for name in names) if len(names) < 3 else f"{len(names)} corpora"


def headline(store: Store) -> str:
    """Accuracy on the two official test splits and both together: ours, the published peers, the paper's table."""
    corpora = ("raf-db", "fer2013", "aggregate")
    models = order_models(store)
    sizes = {c: [row["n_total"] for m in models if (row := find_row(store, m, corpus=c)) is not None] for c in corpora}
    if not any(sizes.values()):
        return no_results()
    header = ["accuracy in %, six classes [95 % interval]", "trained on", "parameters"]
    header += [f"{title_of(c)} test ({max(sizes[c]):,})" if sizes[c] else title_of(c) for c in corpora]
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
            rows.append([f"paper: {model}", "the column's corpus", f"{int(part['parameters'].iloc[0]):,}", *cells])
    note = (
        "Rows of the paper are as published, each number of a model trained on that column's corpus, selected on a set "
        "that consists of RAF-DB test images, without intervals. Peers of seven classes are restricted to the six."
    )
    return f"{markdown_table(header, rows)}\n\n{note}"


def is_ours(model: str) -> bool:
    return model.startswith(FLAGSHIP)


def emphasise(model: str) -> str:
    return f"**{model}**" if model == FLAGSHIP else model


def cross_dataset(store: Store) -> str:
    """Trained on × tested on: networks trained by one recipe, linear classifiers, and the slides' figures."""
    kinds = {kind: models for kind in (TRAINED, LINEAR) if (models := cross_models(store, kind))}
    if not kinds:
        return "_The store has no cross-dataset models yet._"
    everything = [model for models in kinds.values() for model in models]
    corpora = [
        c
        for c in corpus_titles()
        if c != "gimefive-valid" and any(find_row(store, m, corpus=c) is not None for m in everything)
    ]
    rows = {c: [row for m in everything if (row := find_row(store, m, corpus=c)) is not None] for c in corpora}
    sizes = [f"{title_of(c)} ({max(row['n_total'] for row in rows[c]):,})" for c in corpora]
    parts = []
    for kind, models in kinds.items():
        cells = [[trained_title(store, m), *[percent(find_row(store, m, corpus=c)) for c in corpora]] for m in models]
        table = markdown_table([f"{kind}: trained on", *sizes], cells)
        parts.append(f"{table}\n\n{about_text(store, kind)}")
    slides = store.published[store.published["publication"].str.contains(SLIDES)]
    quoted = []
    for name, part in slides.groupby("trained_on", sort=False):
        values = {row.corpus: f"{100 * row.value:.1f}" for row in part.itertuples()}
        quoted.append([name, *[values.get(c, MISSING) for c in corpora]])
    if quoted:
        header = ["as published: trained on", *[title_of(c) for c in corpora]]
        note = (
            "Published: slides about a fine-tuned VGG16, on test splits of their own, of unpublished size, without "
            "intervals. Ours: accuracy in % [95 % interval], six classes, test images in the header."
        )
        parts.append(f"{markdown_table(header, quoted)}\n\n{note}")
    return "\n\n".join(parts)


def paper_networks(store: Store) -> str:
    """The paper's Table 2 beside the same networks trained anew, on the three test splits that were scored."""
    corpora = ("raf-db", "fer2013", "gimefive-valid")
    tables = {corpus: paper_table(store, corpus) for corpus in corpora}
    if not any(table["value"].notna().any() for table in tables.values()):
        return no_results()
    sizes = {corpus: int(table["n"].max()) for corpus, table in tables.items()}
    header = ["trained on RAF-DB", "parameters"]
    for corpus in corpora:
        header += [f"{title_of(corpus)} ({sizes[corpus]:,}), paper", "ours"]
    rows = []
    for index, first in tables["raf-db"].iterrows():
        cells = [first["network"], "" if isnan(first["parameters"]) else f"{int(first['parameters']):,}"]
        for corpus in corpora:
            row = tables[corpus].loc[index]
            cells.append(MISSING if isnan(row["published"]) else f"{100 * row['published']:.1f}")
            cells.append(percent(find_row(store, model_of(NETWORKS[first["network"]]), corpus=corpus)))
        rows.append(cells)
    told = "; ".join(change.sentence for change in changes(store))
    note = (
        f"{summary(store)} {told[:1].upper()}{told[1:]}.\n\nThe paper's columns of networks trained on FER2013 and on "
        f"both are open: those have not been trained anew. {augmentation_sentence(store)}"
    )
    return f"{markdown_table(header, rows)}\n\n{note.strip()}"


# Tables of the whole store, and tables of one model, the flagship by default.
STORE_TABLES: dict[str, Callable[[Store], str]] = {
    "headline": headline,
    "deployed": deployed,
    "cross-dataset": cross_dataset,
    "fer2013-field": fer2013_field,
    "neutral-elsewhere": neutral_elsewhere,
    "paper-networks": paper_networks,
    "trusted-methods": trusted_methods,
    "confidence-with-neutral": partial(confidence, model=WITH_NEUTRAL),
}
MODEL_TABLES: dict[str, Callable[..., str]] = {
    "per-corpus": per_corpus,
    "per-class": per_class,
    "robustness": robustness,
    "detected": detected,
    "subgroups": subgroups,
    "peers": peers,
    "leakage": leakage,
    "faithfulness": faithfulness,
    "hard-faces": hard_faces,
    "confidence": confidence,
    "annotators": annotators,
    "labels-sentence": labels_sentence,
    "second-labels": second_labels,
}
TABLES = STORE_TABLES | MODEL_TABLES
