"""Held-out metrics during training."""

import streamlit as st
from parts.charts import lines
from parts.sentences import ends
from parts.store import choose, show_chart, start_page, stop_without

from evaluation.corpora import title_of
from evaluation.metrics import share_interval
from evaluation.queries import FLAGSHIP

store = start_page(
    "Training curves", "Measured during training on images held out of the training splits, never on a test split."
)
curves = store.curves
stop_without(
    len(curves) > 0,
    "The store has no curves yet: `python -m evaluation.analyses.record_curves --model NAME --run RUN`.",
)
with st.sidebar:
    model = choose("Model", sorted(curves["model"].unique()), "model", FLAGSHIP)
    metric = choose("Metric", sorted(curves["metric"].unique()), "metric", "accuracy")
part = curves[(curves["model"] == model) & (curves["metric"] == metric)].sort_values(["corpus", "step"])
stop_without(len(part) > 0, f"{model} has no curve of {metric}.")
part = part.assign(corpus=part["corpus"].map(title_of))
note = f"{part['step'].nunique()} evaluations, up to step {part['step'].max():,}"
minutes = part["minutes"].max()
note += f", {minutes / 60:.1f} hours of training. " if minutes == minutes else ". "
sizes = part.dropna(subset="n").groupby("corpus", sort=False)["n"].first()
unknown = [corpus for corpus in part["corpus"].unique() if corpus not in sizes]
note += "Held-out images: " + ", ".join(
    [*(f"{c} {n:,.0f}" for c, n in sizes.items()), *(f"{c} unknown" for c in unknown)]
)
if metric == "accuracy":
    bounds = [share_interval(row.value, row.n) for row in part.itertuples()]
    part[["low", "high"]] = bounds
    note += "; bars: 95 % Wilson intervals."
else:
    note += "; no interval, because the images of each class are not recorded per step."
share = bool(part["value"].between(0, 1).all())
show_chart(
    lines(part, "step", "corpus", f"{model}: {metric} on held-out images", metric, share),
    part,
    f"training-{model}-{metric}",
    note,
    ends(part[part["step"] == part["step"].max()], ["corpus"], "at the last step", share),
)
