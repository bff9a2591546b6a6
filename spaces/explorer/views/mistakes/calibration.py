"""Are the scores worth their face value?"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from parts.charts import dot_plot, reliability_diagram, risk_coverage
from parts.leaderboard import metric_table
from parts.sentences import ends
from parts.store import choose_tested, show_chart, start_page

from evaluation.corpora import corpora_of, title_of
from evaluation.metrics import confidence_bins, mean_interval, reliability
from evaluation.queries import aligned_predictions, find_row, percent_text
from evaluation.rows import class_scores
from gimefive_hf.bundled import resolve_checkpoint


def model_threshold(name: str) -> float | None:
    """The confidence under which a checkpoint of the package answers "no clear emotion"; None for other models."""
    path = Path(resolve_checkpoint(name)) / "config.json"
    return json.loads(path.read_text()).get("confidence_threshold") if path.is_file() else None


store = start_page(
    "Calibration",
    "Of all answers given with 80 % confidence, 80 % should be right. Points under the diagonal: too sure. One "
    "temperature, fitted on held-out images in the wild, stands for every kind of input; for which kinds it "
    "holds is told where [photos come as they are](deployed).",
)
with st.sidebar:
    model, corpus = choose_tested(store, default="aggregate")

frame = aligned_predictions(store, model, corpora_of(corpus))
probabilities, labels = class_scores(frame, 6)
right = (probabilities.argmax(1) == labels).astype(float)
index = confidence_bins(probabilities.max(1))
rows = []
for number, entry in enumerate(reliability(probabilities.max(1), probabilities.argmax(1) == labels)):
    if entry is not None:
        rows.append([entry.confidence, entry.accuracy, *mean_interval(right[index == number], None), entry.n])
table = pd.DataFrame(rows, columns=["confidence", "value", "low", "high", "n"])
error = find_row(store, model, "expected_calibration_error", corpus=corpus)
largest = table.loc[table["n"].idxmax()]
st.metric("Expected calibration error, 15 bins", percent_text(error, n=False))
show_chart(
    reliability_diagram(table, f"{model} on {title_of(corpus)}"),
    table,
    f"calibration-{model}-{corpus}",
    f"{len(frame):,} images in {len(table)} of 15 bins; 95 % bootstrap intervals of the share that is right.",
    f"Expected calibration error {percent_text(error, n=False)}; the largest bin, {largest.n:,.0f} images, is "
    f"{largest.confidence:.1%} sure and {largest.value:.1%} right.",
)
confidence = probabilities.max(1)
thresholds = np.linspace(0, 0.95, 96)
kept = [confidence >= t for t in thresholds]
abstain = pd.DataFrame(
    [
        [t, k.mean(), right[k].mean() if k.any() else np.nan, int(k.sum())]
        for t, k in zip(thresholds, kept, strict=True)
    ],
    columns=["threshold", "share answered", "accuracy of answers", "n"],
)
st.subheader("If it may abstain")
show_chart(
    risk_coverage(abstain, model_threshold(model), "risk against coverage"),
    abstain,
    f"abstention-{model}-{corpus}",
    f"Answers whose confidence is below a threshold are not given. Out of {len(frame):,} images.",
    f"Of all answers {1 - right.mean():.1%} are wrong, of the surer half "
    f"{1 - right[np.argsort(-confidence)[: len(right) // 2]].mean():.1%}.",
)
with st.expander("As a table"):
    percent = st.column_config.NumberColumn(format="percent")
    columns = {"share answered": percent, "accuracy of answers": percent}
    st.dataframe(abstain[::5], hide_index=True, column_config=columns)

st.subheader("All models")
table = metric_table(store, "expected_calibration_error", [corpus])
show_chart(
    dot_plot(table, "model", "test split", "expected calibration error, lower is better"),
    table,
    f"calibration-errors-{corpus}",
    f"95 % bootstrap intervals; {table['n'].max():,} images.",
    ends(table, ["model"]),
)
