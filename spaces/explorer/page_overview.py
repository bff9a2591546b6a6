"""The headline figures, the flagship's weakest spots, and published figures beside ours."""

import pandas as pd
import streamlit as st
from explorer_charts import interval_bars
from explorer_store import choose, choose_model, download_table, show_chart, start_page

from evaluation.corpora import corpus_titles, title_of
from evaluation.queries import find_row, order_models, percent_text, tested_corpora
from evaluation.store import Store
from evaluation.weak_spots import LEAST_IMAGES, weak_spots

METRICS = ["accuracy", "balanced_accuracy", "macro_f1", "expected_calibration_error"]


def accuracy_table(store: Store, models: list[str], metric: str, subset: str) -> pd.DataFrame:
    rows = []
    for model in models:
        for corpus in tested_corpora(store, model):
            row = find_row(store, model, metric, corpus=corpus, subset=subset)
            if row is not None:
                title = title_of(corpus)
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

st.subheader(f"Where {model} is weakest")
facts = store.models[model]
spots = weak_spots(store, model)
if spots:
    name, sentence = next(iter(spots.items()))
    st.error(f"**{name}:** {sentence}", icon=":material/error:")
    for name, sentence in list(spots.items())[1:]:
        st.markdown(f"- **{name}:** {sentence}")
    st.caption(
        f"Among classes with at least {LEAST_IMAGES} test images; 95 % bootstrap intervals. [Confusion and classes]"
        f"(classes?model={model}) and [Failures](failures?model={model}) show more."
    )
else:
    st.info(f"{model} has no aligned test results.")
st.caption(
    f"{facts.parameters:,} parameters, trained on {facts.trained_on}, revision {facts.revision}, scored {facts.date}."
)

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
        f"No model has figures for {subset} test images yet; evaluation/results/leaked_test_images.csv names the leaks."
    )

st.subheader("Beside the published figures")
published = store.published[store.published["publication"].str.startswith("GiMeFive paper")]
if len(published):
    wide = published.assign(
        title=published["corpus"].map(corpus_titles()), cell=published["value"].map("{:.1%}".format)
    )
    wide = wide[wide["corpus"].isin(["raf-db", "fer2013", "aggregate"])]
    wide = wide.pivot_table(index="model", columns="title", values="cell", aggfunc="first")
    ours = {
        title_of(corpus): percent_text(find_row(store, model, corpus=corpus))
        for corpus in ("raf-db", "fer2013", "aggregate")
    }
    together = pd.concat([pd.DataFrame([ours], index=[model]), wide]).fillna("–")
    st.dataframe(together)
    st.caption(
        "Accuracy on the official test splits (RAF-DB 2,388, FER2013 5,945, both 8,333 images). The paper gives no "
        "intervals; each of its numbers is of a model trained on that column's corpus and selected on a set that "
        "consists of RAF-DB test images."
    )
    download_table(together.reset_index(names="model"), "published")
else:
    st.info("The store has no published figures (published.csv).")
