"""Accuracy against the strength of corruptions, and found again in a scene."""

import pandas as pd
import streamlit as st
from explorer_charts import interval_bars, lines
from explorer_store import show_chart, start_page, stop_without

from gimefive_hf.result_queries import CORPUS_TITLES, FLAGSHIP, find_row, order_models

store = start_page(
    "Robustness",
    "Eight corruptions at five strengths, after ImageNet-C, for faces; strength 0 is the aligned crop. Masks and "
    "sunglasses are drawn at the usual place in an aligned crop.",
)
table = store.results
corrupted = table[
    table["protocol"].str.startswith("corrupted")
    & (table["metric"] == "accuracy")
    & (table["classes"] == 6)
    & (table["subset"] == "full")
]
models = [name for name in order_models(store, cross=True) if name in set(corrupted["model"])]
stop_without(
    bool(models),
    "No model has corrupted predictions yet: `python -m training.evaluate --model gimefive --data DIR "
    "--protocol corrupted --corpora raf-db --sample 600`.",
)
with st.sidebar:
    model = st.selectbox(
        "Model", models, index=models.index(FLAGSHIP) if FLAGSHIP in models else 0, key="model", bind="query-params"
    )
part = corrupted[corrupted["model"] == model].copy()
part[["corruption", "strength"]] = part["protocol"].str.split("/", expand=True)[[1, 2]]
part["corruption"] = part["corruption"].str.replace("_", " ")
part["strength"] = part["strength"].astype(int)
corpus = part["corpus"].iloc[0]
part = part[part["corpus"] == corpus]
start = find_row(store, model, corpus=corpus)
columns = ["corruption", "strength", "value", "low", "high", "n_scored"]
curves = part[columns]
if start is not None:
    zero = pd.DataFrame(
        [
            [name, 0, start["value"], start["low"], start["high"], start["n_scored"]]
            for name in curves["corruption"].unique()
        ],
        columns=columns,
    )
    curves = pd.concat([zero, curves], ignore_index=True)
curves = curves.sort_values(["corruption", "strength"])
note = f"{CORPUS_TITLES[corpus]} test split: {part['n_scored'].max():,} evenly drawn images per point"
note += f", {start['n_scored']:,} at strength 0" if start is not None else ""
show_chart(
    lines(curves, "strength", "corruption", f"{model}: accuracy under corruption", "accuracy"),
    curves,
    f"robustness-{model}",
    note + "; 95 % bootstrap intervals.",
)
st.subheader("As deployed: found again by our detector in a larger scene")
rows = []
for name in order_models(store, cross=True):
    for corpus, title in CORPUS_TITLES.items():
        for metric, label in (
            ("accuracy", "accuracy of the faces found"),
            ("faces_found", "faces found"),
            ("accuracy_of_all", "accuracy of all"),
        ):
            row = find_row(store, name, metric, corpus=corpus, protocol="detected")
            if row is not None:
                rows.append(
                    [f"{name}, {title}", label, row["value"], row["low"], row["high"], row["n_scored"], row["n_total"]]
                )
stop_without(bool(rows), "No model has detected predictions yet: `--protocol detected`.")
table = pd.DataFrame(rows, columns=["model and test split", "measure", "value", "low", "high", "n", "n_total"])
show_chart(
    interval_bars(table, "model and test split", "measure", "crops at 128 px in a scene of 320×320 px"),
    table,
    "detected",
    f"95 % bootstrap intervals; {table['n_total'].max():,} scenes. A face that is not found counts as wrong in the "
    "last bar only.",
)
