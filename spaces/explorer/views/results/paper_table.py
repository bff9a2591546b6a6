"""The paper's Table 2 beside the same networks trained anew."""

import pandas as pd
import streamlit as st
from parts.charts import dot_plot
from parts.sentences import ends
from parts.store import choose_corpus, show_chart, start_page, stop_without

from evaluation.analyses.paper_table import (
    NETWORKS,
    augmentation_pairs,
    augmentation_sentence,
    augmentation_table,
    changes,
    model_of,
    paper_table,
    summary,
)
from evaluation.corpora import title_of
from evaluation.queries import find_row

QUOTED = ["as published"]
store = start_page(
    "The paper's table, trained anew",
    "Table 2 of the GiMeFive paper as published, beside the same ten networks trained by one recipe on RAF-DB's "
    "training split.",
)
models = [model_of(network) for network in NETWORKS.values()]
tested = [
    corpus
    for corpus in ("raf-db", "fer2013", "gimefive-valid")
    if any(find_row(store, model, corpus=corpus) is not None for model in models)
]
stop_without(
    bool(tested), "No network of the table has been trained anew yet: `python -m training.studies.import_run`."
)
with st.sidebar:
    corpus = choose_corpus(tested)

st.markdown(summary(store, corpus))
table = paper_table(store, corpus)
ours = table.assign(source="trained anew, 95 % interval")[["network", "source", "value", "low", "high", "n"]]
quoted = pd.DataFrame({"network": table["network"], "source": "as published", "value": table["published"]})
points = pd.concat([ours, quoted], ignore_index=True).dropna(subset=["value"])
note = (
    f"{table['n'].max():,.0f} images of {title_of(corpus)}. Filled: measured here; hollow: quoted from the paper, "
    "which gives no intervals and selected on RAF-DB test images."
)
figure = dot_plot(points, "network", "source", f"accuracy on {title_of(corpus)}, trained on RAF-DB", quoted=QUOTED)
show_chart(figure, table, f"paper-table-{corpus}", note, ends(points, ["network", "source"]))
st.info(
    "**Open:** the paper's columns of networks trained on FER2013 and on the aggregate: none of them has been trained "
    "anew, so nothing here says whether they hold."
)

st.subheader("What each part of the network is worth")
found = changes(store, corpus)
rows = [[c.name, "trained anew", c.value, c.low, c.high] for c in found]
rows += [[c.name, "as published", c.published, None, None] for c in found if c.published is not None]
if rows:
    st.markdown("\n".join(f"- {c.sentence[:1].upper()}{c.sentence[1:]}." for c in found))
    parts = pd.DataFrame(rows, columns=["part", "source", "value", "low", "high"])
    figure = dot_plot(parts, "part", "source", "accuracy with it minus without", quoted=QUOTED, share=False)
    note = "The same images for both networks: 95 % paired bootstrap intervals."
    show_chart(figure, parts, f"paper-parts-{corpus}", note, ends(parts, ["part", "source"], signed=True))
if augmentation := augmentation_sentence(store, corpus):
    st.subheader("With and without augmentation")
    st.markdown(augmentation)
    points = augmentation_table(store, corpus)
    if len(points):
        title = f"accuracy on {title_of(corpus)}, trained on RAF-DB with and without augmentation"
        note = (
            f"{points['n'].max():,.0f} images of {title_of(corpus)}, 95 % bootstrap intervals. Hollow: quoted from "
            "slides, which do not say on which images."
        )
        figure = dot_plot(points, "network", "source", title, quoted=QUOTED)
        show_chart(figure, points, f"augmentation-{corpus}", note, ends(points, ["network", "source"]))
runs = store.extras.get("runs")
if runs is not None:
    runs = runs[runs["model"].isin([*models, *(name for pair in augmentation_pairs(store).values() for name in pair)])]
    with st.expander("The runs: settings, commit, machine"):
        st.dataframe(runs, hide_index=True, alt="settings of the networks trained anew, a row each")
