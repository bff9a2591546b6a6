"""Trained on × tested on."""

import pandas as pd
import streamlit as st
from explorer_charts import heat_map
from explorer_store import choose, download_table, show_chart, start_page, stop_without

from evaluation.corpora import corpus_titles, title_of
from evaluation.queries import find_row, percent_text

METRICS = ["accuracy", "balanced_accuracy", "macro_f1", "expected_calibration_error", "negative_log_likelihood"]

store = start_page(
    "Cross-dataset",
    "How far does a model trained on one corpus carry to another? One cheap recipe for all: frozen face-identity "
    "features and a linear classifier. It compares corpora, not networks.",
)
with st.sidebar:
    metric = choose("Metric", METRICS, "metric")
    leak_free = st.toggle("Leak-free test images only", key="leak_free", bind="query-params")
    with_ours = st.toggle("With the flagship and the peers", key="with_ours", bind="query-params")
models = [name for name in store.models if with_ours or name.startswith("cross-")]
stop_without(
    bool(models),
    "The store has no cross-dataset models yet: `python -m training.cross_dataset --data DIR --identity DIR`.",
)
rows = []
for model in sorted(models, key=lambda name: (store.models[name].trained_on.count("+"), name)):
    for corpus, title in corpus_titles().items():
        row = None
        if leak_free:
            row = find_row(store, model, metric, corpus=corpus, subset="leak-free")
        # A split of which nothing leaked is leak-free as a whole.
        row = find_row(store, model, metric, corpus=corpus) if row is None else row
        if row is not None:
            trained = model.removeprefix("cross-")
            rows.append([trained, title, row["value"], row["low"], row["high"], row["n_scored"], row["n_total"]])
table = pd.DataFrame(rows, columns=["trained on", "tested on", "value", "low", "high", "n", "n_total"])
scale = 1 if metric == "negative_log_likelihood" else 100
digits = 1 if scale == 100 else 2
table["text"] = [
    f"{scale * r.value:.{digits}f}<br>[{scale * r.low:.{digits}f}, {scale * r.high:.{digits}f}]<br>n={r.n:,}"
    for r in table.itertuples()
]
order = [title for title in corpus_titles().values() if title in set(table["tested on"])]
trained = list(dict.fromkeys(table["trained on"]))
values = table.pivot(index="trained on", columns="tested on", values="value").loc[trained, order]
texts = table.pivot(index="trained on", columns="tested on", values="text").loc[trained, order].fillna("")
unit = "nats" if scale == 1 else "%"
figure = heat_map(
    values,
    texts,
    f"{metric.replace('_', ' ')} in {unit}, six classes",
    "tested on",
    "trained on",
    high=1.0 if scale == 100 else float(values.max().max()),
)
show_chart(
    figure,
    table.drop(columns="text"),
    f"cross-dataset-{metric}",
    "In each cell the value, its 95 % bootstrap interval (over subjects too, where the corpus tells them) and the "
    "number of test images n. " + ("Test images with a twin in a training split are left out." if leak_free else ""),
)

with st.expander("The same as a table, for small screens"):
    st.dataframe(texts.map(lambda text: text.replace("<br>", " ")))

st.subheader("Beside the published figures")
published = store.published[store.published["publication"].str.contains("slides")]
stop_without(len(published) > 0, "The store has no published cross-dataset figures.")
rows = []
for entry in published.itertuples():
    # "affectnet+fer2013, 48 px" is our cross-affectnet-fer2013-48px
    ours = "cross-" + entry.trained_on.replace(", ", "-").replace("+", "-").replace(" px", "px")
    row = find_row(store, ours, corpus=entry.corpus) if ours in store.models else None
    difference = "–" if row is None else f"{100 * (row['value'] - entry.value):+.1f}"
    title = title_of(entry.corpus)
    rows.append([entry.trained_on, title, f"{100 * entry.value:.1f} %", percent_text(row), difference])
side = pd.DataFrame(rows, columns=["trained on", "tested on", "published", "ours [95 % interval]", "ours − published"])
st.dataframe(side, hide_index=True)
parameters = " and ".join(f"{n:,.0f}" for n in published["parameters"].unique())
st.caption(
    f"Published: slides about a fine-tuned VGG16 with {parameters} trainable parameters; other test splits, of "
    "unpublished size, without intervals. Ours: the frozen features of above, six classes, our test splits. The "
    "differences compare two recipes on two splits, so they say little about either."
)
download_table(side, "published-cross-dataset")
