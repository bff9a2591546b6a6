"""Held-out metrics during training."""

import streamlit as st
from explorer_charts import lines
from explorer_store import choose, show_chart, start_page, stop_without

from gimefive_hf.result_queries import FLAGSHIP

store = start_page(
    "Training curves", "Measured during training on images held out of the training splits, never on a test split."
)
curves = store.curves
stop_without(
    len(curves) > 0, "The store has no training curves yet: `python -m training.record_curves --model NAME --run DIR`."
)
with st.sidebar:
    model = choose("Model", sorted(curves["model"].unique()), "model", FLAGSHIP)
    metric = choose("Metric", sorted(curves["metric"].unique()), "metric", "accuracy")
part = curves[(curves["model"] == model) & (curves["metric"] == metric)].sort_values(["corpus", "step"])
stop_without(len(part) > 0, f"{model} has no curve of {metric}.")
minutes = part["minutes"].max()
note = f"{part['step'].nunique()} evaluations, up to step {part['step'].max():,}"
note += f", {minutes / 60:.1f} hours of training. " if minutes == minutes else ". "
note += "Validation images: raf-db 584, fer2013 1,675 with neutral, affectnet 1,228; intervals are not stored per step."
share = bool(part["value"].between(0, 1).all())
show_chart(
    lines(part, "step", "corpus", f"{model}: {metric} on held-out images", metric, share),
    part,
    f"training-{model}-{metric}",
    note,
)
