"""Trained on × tested on: networks trained by one small recipe, linear classifiers, and the slides' table."""

import json

import pandas as pd

from ..corpora import title_of
from ..queries import CROSS, CROSS_TRAINED, find_row
from ..store import Store

TRAINED, LINEAR = "networks trained here", "linear classifiers on frozen features"
PUBLISHED = "as published"
SLIDES = "slides of the second source"
# What the two kinds are, for those who read their figures.
ABOUT = {
    TRAINED: "gimefive-fast's network from the same face-identity weights{terms}, the last weights. The budget is "
    "small: it compares corpora under equal terms and cannot show how far one carries in the end.",
    LINEAR: "A linear classifier on the frozen features of the face-identity network, 112 px, the same for all. It "
    "compares corpora, not networks.",
}


def kind_of(model: str) -> str | None:
    """TRAINED or LINEAR for a model of the cross-dataset study, None for others."""
    if not model.startswith(CROSS):
        return None
    return TRAINED if model.startswith(CROSS_TRAINED) else LINEAR


def cross_models(store: Store, kind: str) -> list[str]:
    """The models of one kind, single corpora first, those trained on all last."""
    names = [name for name in store.models if kind_of(name) == kind]
    return sorted(names, key=lambda name: (store.models[name].trained_on.count("+"), name))


def trained_title(store: Store, model: str) -> str:
    """`AffectNet copy + FER2013, 48 px`: the corpora of a cross-dataset model; of many only their number."""
    corpora = store.models[model].trained_on.split("+")
    titles = " + ".join(map(title_of, corpora)) if len(corpora) < 4 else f"{len(corpora)} corpora together"
    pixels = model.rpartition("-")[2]
    return f"{titles}, {pixels.removesuffix('px')} px" if pixels.endswith("px") else titles


def together_text(store: Store, models: list[str]) -> str:
    """Which corpora stand behind "… corpora together", in a sentence; empty where no model has so many."""
    joined = {store.models[model].trained_on for model in models if store.models[model].trained_on.count("+") > 2}
    return " ".join(f"Together: {', '.join(map(title_of, name.split('+')))}." for name in sorted(joined))


def terms_text(store: Store, models: list[str]) -> str:
    """What the trained networks share, by the settings of their runs: `, 64 px, 300 steps of 96 images …`, or empty."""
    runs = store.extras.get("runs")
    runs = None if runs is None else runs[runs["model"].isin(models)]
    if runs is None or not len(runs):
        return ""
    settings = [json.loads(text) for text in runs["settings"]]
    terms = {
        f"{s['network_options']['image_size']} px, {s['steps']} steps of {s['batch_size']} images, seed {s['seed']}"
        for s in settings
    }
    minutes, machines = runs["seconds"] / 60, "; ".join(sorted(runs["machine"].unique()))
    return f", {' or '.join(sorted(terms))}, {minutes.min():.0f} to {minutes.max():.0f} minutes each ({machines})"


def about_text(store: Store, kind: str) -> str:
    """What one kind of models is, how it was trained, and which corpora stand behind "… corpora together"."""
    models = cross_models(store, kind)
    parts = [ABOUT[kind].format(terms=terms_text(store, models)), budget_text(store) if kind == TRAINED else ""]
    return " ".join(filter(None, [*parts, together_text(store, models)]))


def budget_text(store: Store) -> str:
    """On how many test splits of their own corpora the trained networks are ahead of the linear classifiers."""
    ahead = []
    for model in cross_models(store, TRAINED):
        corpora = store.models[model].trained_on
        linear = [name for name in cross_models(store, LINEAR) if store.models[name].trained_on == corpora]
        for corpus in corpora.split("+") if linear else ():
            rows = [find_row(store, name, corpus=corpus) for name in (model, *linear)]
            values = [row["value"] for row in rows if row is not None]
            if len(values) == len(rows):
                ahead.append(values[0] > max(values[1:]))
    if not ahead:
        return ""
    return (
        f"On {sum(ahead)} of {len(ahead)} test splits of the corpora that a row was trained on, the network is ahead "
        "of the linear classifier below, which costs less and sees larger images."
    )


def counterpart(store: Store, trained_on: str, kind: str) -> str | None:
    """Our model of a kind for the slides' `affectnet+fer2013, 48 px`; None where there is none."""
    corpora, _, pixels = trained_on.partition(", ")
    if kind == TRAINED:
        name = CROSS_TRAINED + corpora.replace("+", "-") if pixels != "48 px" else None
    else:
        name = CROSS + "-".join([*corpora.split("+"), *([pixels.replace(" ", "")] if pixels else [])])
    return name if name in store.models else None


def beside_published(store: Store) -> pd.DataFrame:
    """
    One row per published pair and per figure of it: trained, tested (titles), source (PUBLISHED, TRAINED or LINEAR),
    value, low, high, n (NaN where not known).
    """
    rows: list[list] = []
    slides = store.published[store.published["publication"].str.contains(SLIDES)]
    for entry in slides.itertuples():
        corpora, comma, pixels = entry.trained_on.partition(", ")
        pair = [" + ".join(map(title_of, corpora.split("+"))) + comma + pixels, title_of(entry.corpus)]
        rows.append([*pair, PUBLISHED, entry.value, None, None, None])
        for kind in (TRAINED, LINEAR):
            model = counterpart(store, entry.trained_on, kind)
            row = None if model is None else find_row(store, model, corpus=entry.corpus)
            if row is not None:
                rows.append([*pair, kind, row["value"], row["low"], row["high"], row["n_scored"]])
    table = pd.DataFrame(rows, columns=["trained", "tested", "source", "value", "low", "high", "n"])
    return table.astype(dict.fromkeys(("value", "low", "high", "n"), float))
