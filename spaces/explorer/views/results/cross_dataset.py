"""Trained on × tested on."""

import pandas as pd
import streamlit as st
from parts.charts import dot_plot, heat_map
from parts.leaderboard import METRICS as SHARES
from parts.sentences import ends
from parts.store import choose, download_table, show_chart, start_page, stop_without

from evaluation.analyses.cross_dataset import (
    LINEAR,
    PUBLISHED,
    SLIDES,
    TRAINED,
    about_text,
    beside_published,
    cross_models,
    kind_of,
)
from evaluation.analyses.cross_dataset import trained_title as title_of_model
from evaluation.corpora import corpus_titles
from evaluation.queries import find_row, order_models
from evaluation.store import Store

METRICS = SHARES | {"negative log-likelihood": "negative_log_likelihood"}


def crossed(store: Store, models: list[str], metric: str, leak_free: bool) -> pd.DataFrame:
    """A row per model and test split: trained on, tested on, value, low, high, n, n_total."""
    rows = []
    for model in models:
        trained = title_of_model(store, model) if kind_of(model) else model
        for corpus, title in corpus_titles().items():
            row = find_row(store, model, metric, corpus=corpus, subset="leak-free") if leak_free else None
            # A split of which nothing leaked is leak-free as a whole.
            row = find_row(store, model, metric, corpus=corpus) if row is None else row
            if row is not None:
                rows.append([trained, title, row["value"], row["low"], row["high"], row["n_scored"], row["n_total"]])
    return pd.DataFrame(rows, columns=["trained on", "tested on", "value", "low", "high", "n", "n_total"])


def show_crossed(table: pd.DataFrame, name: str, key: str, leak_free: bool) -> None:
    """The table as a heat map and, for narrow screens, as dots."""
    share = METRICS[name] != "negative_log_likelihood"
    scale, digits, unit = (100, 1, "%") if share else (1, 2, "nats")
    texts = table.assign(
        text=[
            f"{scale * r.value:.{digits}f}<br>[{scale * r.low:.{digits}f}, {scale * r.high:.{digits}f}]<br>n={r.n:,}"
            for r in table.itertuples()
        ]
    )
    columns = [title for title in corpus_titles().values() if title in set(table["tested on"])]
    rows = list(dict.fromkeys(table["trained on"]))
    cells = [
        part.pivot(index="trained on", columns="tested on", values=value).loc[rows, columns]
        for part, value in ((table, "value"), (texts, "text"))
    ]
    title, high = f"{name} in {unit}, six classes", 1.0 if share else float(table["value"].max())
    note = "In each cell the value, its 95 % bootstrap interval (over subjects too, where the corpus tells them) and "
    note += "the number of test images n."
    sizes = ", ".join(f"{corpus} {n:,}" for corpus, n in table.groupby("tested on", sort=False)["n"].max().items())
    narrow_note = f"95 % bootstrap intervals; number of test images n: {sizes}."
    left_out = " Test images with a twin in a training split are left out." * leak_free
    alt = ends(table, ["trained on", "tested on"], share=share)
    with st.container(key=f"wide-{key}"):
        figure = heat_map(cells[0], cells[1].fillna(""), title, "tested on", "trained on", high=high)
        show_chart(figure, table, f"{key}-{METRICS[name]}", note + left_out, alt)
    with st.container(key=f"narrow-{key}"):
        figure = dot_plot(table, "tested on", "trained on", title, share=share)
        show_chart(figure, table, f"{key}-{METRICS[name]}-narrow", narrow_note + left_out, alt)


store = start_page(
    "Cross-dataset",
    "How far does a model trained on one corpus carry to another? Twice: with whole networks, trained on a small "
    "budget, and with linear classifiers on frozen features; beside both the table that was published in slides.",
)
with st.sidebar:
    metric = choose("Metric", list(METRICS), "metric")
    leak_free = st.toggle("Leak-free test images only", key="leak_free", bind="query-params")
    with_ours = st.toggle("With the flagship and the peers", key="with_ours", bind="query-params")
kinds = {kind: models for kind in (TRAINED, LINEAR) if (models := cross_models(store, kind))}
stop_without(
    bool(kinds),
    "The store has no cross-dataset models yet: `python -m training.studies.cross_trained --data DIR --identity DIR "
    "--out DIR` and `python -m training.studies.cross_dataset --data DIR --identity DIR`.",
)
for kind, models in kinds.items():
    st.subheader(kind.capitalize())
    st.markdown(about_text(store, kind))
    table = crossed(store, [*models, *(order_models(store) if with_ours else [])], METRICS[metric], leak_free)
    show_crossed(table, metric, "cross-trained" if kind == TRAINED else "cross-dataset", leak_free)
runs = store.extras.get("runs")
if runs is not None and (of_study := runs[runs["model"].isin(kinds.get(TRAINED, []))]).size:
    with st.expander("The runs: settings, commit, machine"):
        st.dataframe(of_study, hide_index=True, alt="settings of the networks trained here, a row each")

st.subheader("Beside the published figures")
side = beside_published(store)
stop_without(len(side) > 0, "The store has no published cross-dataset figures.")
points = side.assign(pair=side["trained"] + " → " + side["tested"])
title = "accuracy, trained on → tested on"
figure = dot_plot(points, "pair", "source", title, quoted=[PUBLISHED])
slides = store.published[store.published["publication"].str.contains(SLIDES)]
parameters = " and ".join(f"{n:,.0f}" for n in slides["parameters"].unique())
note = (
    f"Hollow: slides about a fine-tuned VGG16 with {parameters} trainable parameters, on other test splits, of "
    "unpublished size, without intervals. Filled: ours with 95 % intervals, six classes, our test splits. The "
    "differences compare recipes and splits, so they say little about either."
)
show_chart(figure, points, "published-cross-dataset", note, ends(side, ["trained", "tested", "source"]))
with st.expander("As a table"):
    wide = side.pivot_table(index=["trained", "tested"], columns="source", values="value", sort=False)
    percent = st.column_config.NumberColumn(format="percent")
    st.dataframe(wide.reset_index(), hide_index=True, column_config=dict.fromkeys(wide, percent), placeholder="–")
    download_table(wide.reset_index(), "published-cross-dataset-table")
