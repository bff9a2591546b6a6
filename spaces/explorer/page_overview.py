"""The headline figures, the flagship's weakest spots, and published figures beside ours."""

import pandas as pd
import streamlit as st
from explorer_charts import interval_bars
from explorer_store import choose, choose_model, percent_text, show_chart, start_page

from gimefive_hf.configuration_gimefive import EMOTIONS
from gimefive_hf.result_queries import CORPUS_TITLES, find_row, order_models, tested_corpora
from gimefive_hf.results import Store

METRICS = ["accuracy", "balanced_accuracy", "macro_f1", "expected_calibration_error"]


def weakest_spots(store: Store, model: str) -> list[str]:
    """One sentence each on the weakest test split, class, confusion and corruption of a model."""
    spots = []
    # The aggregate and the paper's validation set repeat images of the others.
    corpora = [c for c in tested_corpora(store, model) if c not in ("aggregate", "gimefive-valid")]
    if not corpora:
        return []
    rows = [(find_row(store, model, corpus=c), c) for c in corpora]
    row, corpus = min(rows, key=lambda pair: pair[0]["value"])
    spots.append(f"**Test split:** {CORPUS_TITLES[corpus]}, accuracy {percent_text(row)} images.")
    recalls = [
        (found, c, name)
        for c in corpora
        for name in EMOTIONS
        if (found := find_row(store, model, "recall", corpus=c, **{"class": name})) is not None
        and found["n_scored"] >= 30
    ]
    if recalls:
        row, corpus, name = min(recalls, key=lambda triple: triple[0]["value"])
        spots.append(f"**Class:** {name} in {CORPUS_TITLES[corpus]}, recall {percent_text(row)} images.")
    table = store.results
    confusion = table[
        (table["model"] == model)
        & (table["metric"] == "confusion")
        & (table["protocol"] == "aligned")
        & (table["subset"] == "full")
        & (table["classes"] == 6)
        & (table["n_scored"] >= 30)
        & table["corpus"].isin(corpora)
    ].copy()
    confusion = confusion[confusion["class"].map(lambda name: name.split(">")[0] != name.split(">")[1])]
    if len(confusion):
        row = (confusion.assign(share=confusion["value"] / confusion["n_scored"])).nlargest(1, "share").iloc[0]
        label, predicted = row["class"].split(">")
        spots.append(
            f"**Confusion:** {label} taken for {predicted} in {CORPUS_TITLES[row['corpus']]}, "
            f"{100 * row['share']:.1f} % ({row['value']:.0f} of {row['n_scored']:,} images)."
        )
    corrupted = table[
        (table["model"] == model)
        & (table["metric"] == "accuracy")
        & table["protocol"].str.startswith("corrupted")
        & (table["subset"] == "full")
        & (table["classes"] == 6)
    ]
    if len(corrupted):
        row = corrupted.nsmallest(1, "value").iloc[0]
        _, name, strength = row["protocol"].split("/")
        spots.append(
            f"**Corruption:** {name.replace('_', ' ')} at strength {strength}, accuracy {percent_text(row)} images."
        )
    return spots


def accuracy_table(store: Store, models: list[str], metric: str, subset: str) -> pd.DataFrame:
    rows = []
    for model in models:
        for corpus in tested_corpora(store, model):
            row = find_row(store, model, metric, corpus=corpus, subset=subset)
            if row is not None:
                title = CORPUS_TITLES[corpus]
                rows.append([title, model, row["value"], row["low"], row["high"], row["n_scored"], row["n_total"]])
    return pd.DataFrame(rows, columns=["test split", "model", "value", "low", "high", "n", "n_total"])


store = start_page(
    "GiMeFive results",
    "Six facial expressions, every figure with its 95 % interval and its denominator. All of it is computed from "
    "predictions per image that stand in the repository.",
)
with st.sidebar:
    model = choose_model(store, cross=False)
    metric = choose("Metric", METRICS, "metric")
    subset = choose("Test images", ["full", "leak-free"], "subset")

st.subheader(f"The weakest spots of {model}")
facts = store.models[model]
st.caption(
    f"{facts.parameters:,} parameters, trained on {facts.trained_on}, revision {facts.revision}, scored {facts.date}."
)
for spot in weakest_spots(store, model):
    st.markdown(f"- {spot}")

st.subheader("Ours and published peers")
table = accuracy_table(store, order_models(store), metric, subset)
if len(table):
    sizes = ", ".join(f"{name} {n:,}" for name, n in table.groupby("test split", sort=False)["n_total"].max().items())
    figure = interval_bars(
        table, "test split", "model", f"{metric.replace('_', ' ')}, six classes, {subset} test images"
    )
    note = f"95 % bootstrap intervals. Images per test split: {sizes}. Seven-class peers are restricted to the six."
    show_chart(figure, table, f"overview-{metric}-{subset}", note)
else:
    st.info(
        f"No model has figures for {subset} test images yet; training/results/leaked_test_images.csv names the leaks."
    )

st.subheader("Beside the published figures")
published = store.published[store.published["publication"].str.startswith("GiMeFive paper")]
if len(published):
    wide = published.assign(title=published["corpus"].map(CORPUS_TITLES), cell=published["value"].map("{:.1%}".format))
    wide = wide[wide["corpus"].isin(["raf-db", "fer2013", "aggregate"])]
    wide = wide.pivot_table(index="model", columns="title", values="cell", aggfunc="first")
    ours = {
        CORPUS_TITLES[corpus]: percent_text(find_row(store, model, corpus=corpus))
        for corpus in ("raf-db", "fer2013", "aggregate")
    }
    together = pd.concat([pd.DataFrame([ours], index=[model]), wide]).fillna("–")
    st.dataframe(together)
    st.caption(
        "Accuracy on the official test splits (RAF-DB 2,388, FER2013 5,945, both 8,333 images). The paper gives no "
        "intervals; each of its numbers is of a model trained on that column's corpus and selected on a set that "
        "consists of RAF-DB test images."
    )
    st.download_button("Data (CSV)", together.to_csv(), "published.csv", "text/csv", key="csv-published")
else:
    st.info("The store has no published figures (published.csv).")
