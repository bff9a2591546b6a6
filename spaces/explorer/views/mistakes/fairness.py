"""Subgroups, as far as the corpora tell any."""

import pandas as pd
import streamlit as st
from parts.charts import dot_plot
from parts.sentences import ends
from parts.store import choose_model, show_chart, start_page, stop_without

from evaluation.corpora import corpora_with, title_of
from evaluation.metrics import mean_interval, permutation_test
from evaluation.queries import aligned_predictions, right_of, tested_corpora
from evaluation.rows import image_groups

store = start_page(
    "Fairness",
    "**What cannot be known from these data:** none of the corpora here tells age, skin colour or culture per image, "
    "and only TFEID tells sex, for a handful of posed people. That a difference is not seen here does not mean that "
    "there is none.",
)
with st.sidebar:
    model = choose_model(store)
stop_without(bool(tested_corpora(store, model)), f"{model} has no aligned test results.")


@st.cache_data(show_spinner="Permuting …")
def cached_test(right, first, clusters) -> tuple[float, float]:
    return permutation_test(right, first, clusters)


def show_groups(title: str, frame: pd.DataFrame, groups: dict[str, object], key: str) -> None:
    """Bars of accuracy per subgroup (name → bool mask), and a permutation test if there are two."""
    right = right_of(frame).astype(float)
    clusters = image_groups(frame)
    rows = [
        [
            name,
            "accuracy",
            right[mask].mean(),
            *mean_interval(right[mask], clusters[mask]),
            int(mask.sum()),
            len(set(clusters[mask])),
        ]
        for name, mask in groups.items()
        if mask.any()
    ]
    table = pd.DataFrame(rows, columns=["subgroup", "metric", "value", "low", "high", "n", "people or images"])
    note = (
        "95 % bootstrap intervals. "
        + ", ".join(f"{r[0]}: {r[5]:,} images" + f" of {r[6]:,} people" * (r[6] < r[5]) for r in rows)
        + "."
    )
    if len(rows) == 2:
        first = next(iter(groups.values()))
        difference, p = cached_test(right, first, clusters)
        verdict = "a difference" if p < 0.05 else "it may be chance"
        note += f" Difference {100 * difference:+z.1f} points, permutation test p = {p:.3f}: {verdict}."
    show_chart(dot_plot(table, "subgroup", "metric", title), table, key, note, ends(table, ["subgroup"]))


tfeid = aligned_predictions(store, model, ["tfeid"])
st.subheader("Sex, in TFEID")
if len(tfeid):
    women = tfeid["subject"].str.startswith("f").to_numpy()
    show_groups(f"{model}, TFEID test split", tfeid, {"women": women, "men": ~women}, f"sex-{model}")
else:
    st.info(f"{model} has not been tested on TFEID.")
everything = aligned_predictions(store, model, [*corpora_with(setting="wild"), *corpora_with(setting="posed")])
wild = everything["corpus"].isin(corpora_with(setting="wild")).to_numpy()
st.subheader("In the wild against posed")
if wild.any() and not wild.all():
    show_groups(f"{model}, all test splits", everything, {"in the wild": wild, "posed": ~wild}, f"posed-{model}")
else:
    st.info(f"{model} has been tested on one kind only.")
st.subheader("Corpora, as the nearest thing to cultures")
groups = {
    title_of(c): (everything["corpus"] == c).to_numpy()
    for c in [*corpora_with(setting="wild"), *corpora_with(setting="posed")]
}
show_groups(f"{model} by corpus", everything, groups, f"corpora-{model}")
st.markdown(
    "Corpora differ in much more than in the culture of the people they show: how expressions came about, who labelled "
    "them, resolution, class shares. A difference between corpora is not a difference between cultures."
)
