"""Accuracy against the strength of corruptions."""

import pandas as pd
import streamlit as st
from parts.charts import lines
from parts.sentences import ends, value_text
from parts.store import choose, show_chart, start_page, stop_without

from evaluation.corpora import title_of
from evaluation.metrics import mean_interval
from evaluation.queries import FLAGSHIP, as_given, order_models, right_of
from evaluation.rows import image_groups
from evaluation.store import Store


def corrupted_answers(store: Store, name: str, corpus: str) -> pd.DataFrame:
    """One row per image, corruption and strength: whether the model is right."""
    frame = store.predictions_of(name)
    chosen = (frame["corpus"] == corpus) & frame["protocol"].str.startswith("corrupted")
    frame = frame[chosen]
    parts = frame["protocol"].str.split("/", expand=True)
    return pd.DataFrame(
        {
            "image": frame["source"].to_numpy(),
            "corruption": parts[1].str.replace("_", " ").to_numpy(),
            "strength": parts[2].astype(int).to_numpy(),
            "right": right_of(frame).astype(float),
        }
    )


def corruption_means(store: Store, names: list[str], corpus: str) -> pd.DataFrame:
    """Mean accuracy over the corruptions by model and strength, with intervals over images."""
    rows = []
    for name in names:
        for strength, part in corrupted_answers(store, name, corpus).groupby("strength"):
            by_image = part.groupby("image")["right"].mean().to_numpy()
            rows.append([name, strength, by_image.mean(), *mean_interval(by_image, None), len(by_image)])
    return pd.DataFrame(rows, columns=["model", "strength", "value", "low", "high", "n"])


def below_sentences(store: Store, first: str, names: list[str], corpus: str) -> list[str]:
    """Where the first model is below another one under a corruption, over its strengths, on the images of both."""
    own = corrupted_answers(store, first, corpus)
    sentences = []
    for name in names:
        both = own.merge(corrupted_answers(store, name, corpus), on=["image", "corruption", "strength"])
        for corruption, part in both.groupby("corruption") if name != first else ():
            difference = (part["right_x"] - part["right_y"]).groupby(part["image"]).mean().to_numpy()
            low, high = mean_interval(difference, None)
            if high < 0:
                text = f"**{first} falls under {name} with {corruption}**: {100 * difference.mean():+z.1f} points "
                sentences.append(f"{text}[{100 * low:+z.1f}, {100 * high:+z.1f}] over its strengths.")
    return sentences or [f"Under no corruption does {first} fall under another model."]


store = start_page(
    "Robustness",
    "Eight corruptions at five strengths, after ImageNet-C, for faces; strength 0 is the aligned crop. Masks and "
    "sunglasses are drawn at the usual place in an aligned crop. Faces found again in a scene have [a page of "
    "their own](deployed).",
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
    "No model has corrupted predictions yet: `python -m training.measuring.evaluate --model gimefive --data DIR "
    "--protocol corrupted --corpora raf-db --sample 600`.",
)
with st.sidebar:
    model = choose("Model", models, "model", FLAGSHIP)
part = corrupted[corrupted["model"] == model].copy()
part[["corruption", "strength"]] = part["protocol"].str.split("/", expand=True)[[1, 2]]
part["corruption"] = part["corruption"].str.replace("_", " ")
part["strength"] = part["strength"].astype(int)
corpus = part["corpus"].iloc[0]
part = part[part["corpus"] == corpus]
# Strength 0: the same images as they are given, so that all points of a curve have the same denominator.
aligned = as_given(store, model, corpus, part["protocol"].unique())
columns = ["corruption", "strength", "value", "low", "high", "n_scored"]
curves = part[columns]
if len(aligned):
    right = right_of(aligned).astype(float)
    start = [0, right.mean(), *mean_interval(right, image_groups(aligned)), len(right)]
    zero = pd.DataFrame([[name, *start] for name in curves["corruption"].unique()], columns=columns)
    curves = pd.concat([zero, curves], ignore_index=True)
curves = curves.sort_values(["corruption", "strength"]).rename(columns={"n_scored": "n"})
note = f"{title_of(corpus)} test split: the same {part['n_scored'].max():,} evenly drawn images at every point"
if not len(aligned):
    note += "; strength 0 is missing, because the store has no aligned predictions of them"
show_chart(
    lines(curves, "strength", "corruption", f"{model}: accuracy under corruption", "accuracy"),
    curves,
    f"robustness-{model}",
    note + "; 95 % bootstrap intervals.",
    ends(curves[curves["strength"] == 5], ["corruption"], "at strength 5"),
)
hardest = curves[curves["strength"] == 5].sort_values("value")
st.markdown("At strength 5 of 5: " + "; ".join(f"**{r['corruption']}** {value_text(r)}" for _, r in hardest.iterrows()))
if len(models) > 1:
    st.subheader("Model against model")
    means = corruption_means(store, models, corpus)
    if FLAGSHIP in models:
        st.markdown(" ".join(below_sentences(store, FLAGSHIP, models, corpus)))
    show_chart(
        lines(means, "strength", "model", f"mean accuracy over the corruptions, {title_of(corpus)}", "accuracy"),
        means,
        "robustness-models",
        "Mean over the corruptions that the store has; 95 % bootstrap intervals over images; n counts images.",
        ends(means[means["strength"] == 5], ["model"], "at strength 5"),
    )
