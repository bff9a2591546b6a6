"""Confusion matrices and per-class bars."""

import pandas as pd
import streamlit as st
from parts.charts import dot_plot, heat_map
from parts.sentences import ends
from parts.store import choose, choose_tested, show_chart, start_page, stop_without

from evaluation.corpora import title_of
from evaluation.queries import find_row
from gimefive_hf.emotions import EMOTIONS

store = start_page(
    "Confusion and classes", "Which expression is taken for which. Rows add up to 100 % of a class's images."
)
with st.sidebar:
    model, corpus = choose_tested(store, default="aggregate")
    subset = choose("Test images", ["full", "leak-free"], "subset")
    classes = (
        7
        if store.models[model].classes == 7 and choose("Classes", ["six", "seven, with neutral"], "classes") != "six"
        else 6
    )

where = {"corpus": corpus, "subset": subset, "classes": classes}
stop_without(
    find_row(store, model, **where) is not None,
    f"{model} has no results on {title_of(corpus)}, {subset} test images, {classes} classes.",
)
names = [*EMOTIONS, "neutral"][:classes]


def cell(name: str) -> float:
    """A cell of the confusion matrix; NaN if the store lacks it."""
    row = find_row(store, model, "confusion", **where, **{"class": name})
    return float("nan") if row is None else row["value"]


def confused_text(counts: pd.DataFrame) -> str:
    """The three commonest mistakes of a confusion matrix."""
    wrong = counts.stack()
    wrong = wrong[[label != predicted for label, predicted in wrong.index]].nlargest(3)
    told = "; ".join(f"{label} for {predicted} {n:,.0f} times" for (label, predicted), n in wrong.items())
    return f"Commonest mistakes, label taken for another: {told}."


counts = pd.DataFrame([[cell(f"{i}>{j}") for j in names] for i in names], index=names, columns=names)
totals = counts.sum(axis=1)
shares = counts.div(totals.where(totals > 0), axis=0)
texts = (
    shares.map(lambda v: "–" if pd.isna(v) else f"{100 * v:.1f} %")
    + "<br>"
    + counts.map(lambda v: "" if pd.isna(v) else f"{v:,.0f}")
)
shares.index = texts.index = [f"{name} ({int(totals[name]):,})" for name in names]
title = f"{model} on {title_of(corpus)}, {subset} test images"
show_chart(
    heat_map(shares, texts, title, "predicted", "label (images)"),
    counts.reset_index(names="label"),
    f"confusion-{model}-{corpus}-{subset}",
    f"{int(totals.sum()):,} images, {int(sum(counts.loc[n, n] for n in names)):,} right. In brackets the images of "
    "each class. Intervals of the diagonal stand in the chart below.",
    confused_text(counts),
)
rows = []
for metric in ("recall", "precision"):
    for name in names:
        row = find_row(store, model, metric, **where, **{"class": name})
        if row is not None:
            rows.append([name, metric, row["value"], row["low"], row["high"], row["n_scored"]])
table = pd.DataFrame(rows, columns=["class", "metric", "value", "low", "high", "n"])
recalls = table[table["metric"] == "recall"]
show_chart(
    dot_plot(table, "class", "metric", "recall and precision"),
    table,
    f"classes-{model}-{corpus}-{subset}",
    "95 % bootstrap intervals. Recall is out of the images of a class: "
    + ", ".join(f"{r['class']} {r['n']:,}" for _, r in recalls.iterrows())
    + "; precision out of the predictions of it. No dot: never predicted.",
    ends(recalls, ["class"], "recall") + " " + ends(table.drop(recalls.index), ["class"], "precision"),
)
