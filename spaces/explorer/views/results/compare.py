"""Two models on the same images: McNemar's test, and where they differ."""

import numpy as np
import pandas as pd
import streamlit as st
from parts.charts import dot_plot
from parts.sentences import ends
from parts.store import choose, choose_corpus, download_table, show_chart, start_page, stop_without

from evaluation.corpora import corpora_of
from evaluation.metrics import mcnemar, mean_interval
from evaluation.queries import FLAGSHIP, aligned_predictions, order_models, right_of, tested_corpora
from gimefive_hf.emotions import EMOTIONS

store = start_page(
    "Model against model", "The same test images for both, aligned crops, restricted to the six classes."
)
models = order_models(store, cross=True)
stop_without(len(models) > 1, f"Two models are needed; the store has {', '.join(models)} only.")
with st.sidebar:
    first = choose("First model", models, "first", FLAGSHIP)
    second = choose("Second model", [name for name in models if name != first], "second")
    shared = [corpus for corpus in tested_corpora(store, first) if corpus in tested_corpora(store, second)]
    stop_without(bool(shared), f"{first} and {second} share no test split.")
    corpus = choose_corpus(shared)

frames = [
    aligned_predictions(store, model, corpora_of(corpus)).set_index(["corpus", "source"]) for model in (first, second)
]
index = frames[0].index.intersection(frames[1].index)
a, b = (frame.loc[index] for frame in frames)
right_a, right_b = right_of(a), right_of(b)
only_a, only_b, p = mcnemar(right_a, right_b)
left, middle, right = st.columns(3)
left.metric(f"only {first} right", f"{only_a:,}")
middle.metric(f"only {second} right", f"{only_b:,}")
right.metric("McNemar's exact p", f"{p:.2g}")
low, high = mean_interval(right_a.astype(float) - right_b, None)
difference = float(right_a.mean() - right_b.mean())
verdict = (
    "is more often right than"
    if p < 0.05 and only_a > only_b
    else "is less often right than"
    if p < 0.05
    else "cannot be told from"
)
st.markdown(
    f"On {len(index):,} shared images **{first} {verdict} {second}**: a difference in accuracy of "
    f"{100 * difference:+z.1f} points [{100 * low:+z.1f}, {100 * high:+z.1f}] (paired bootstrap)."
)
rows = []
for name in EMOTIONS:
    chosen = (a["label"] == name).to_numpy()
    for model, hits in ((first, right_a), (second, right_b)):
        if chosen.any():
            rows.append(
                [name, model, hits[chosen].mean(), *mean_interval(hits[chosen].astype(float), None), int(chosen.sum())]
            )
table = pd.DataFrame(rows, columns=["class", "model", "value", "low", "high", "n"])
show_chart(
    dot_plot(table, "class", "model", "recall of each class"),
    table,
    f"compare-{first}-{second}-{corpus}",
    "95 % bootstrap intervals over images. Images per class: "
    + ", ".join(f"{name} {n:,}" for name, n in table.groupby("class", sort=False)["n"].first().items())
    + ".",
    ends(table, ["class", "model"]),
)
st.subheader("Where they differ")
differs = right_a != right_b
names = np.array(EMOTIONS)
listed = pd.DataFrame(
    {
        "label": a["label"].to_numpy()[differs],
        first: names[a[list(EMOTIONS)].to_numpy().argmax(1)][differs],
        second: names[b[list(EMOTIONS)].to_numpy().argmax(1)][differs],
        "corpus": index.get_level_values(0)[differs],
        "image": index.get_level_values(1)[differs],
    }
)
st.dataframe(listed, hide_index=True, alt="the images on which exactly one of the two models is right")
st.caption(f"{len(listed):,} of {len(index):,} images on which exactly one of the two is right.")
download_table(listed, f"differ-{first}-{second}-{corpus}")
