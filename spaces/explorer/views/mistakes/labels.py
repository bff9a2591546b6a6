"""What the labels allow: other annotators' word on the same test images."""

import pandas as pd
import streamlit as st
from parts.charts import dot_plot
from parts.sentences import ends
from parts.store import choose_model, show_chart, start_page

from evaluation.analyses.second_opinions import annotator_shares, neutral_by_annotators, second_label_shares

SUBSETS = {
    "all": "at least five votes",
    "no tie": "without ties",
    "leak-free": "without twins in training data",
    "8 or more agree": "eight or more of ten agree",
}

store = start_page(
    "The labels",
    "How good can a model get on these test splits? FER+ has ten annotators' votes on FER2013's images; AffectNet "
    "has a second label, by its source another model's, so evidence and no truth.",
)
with st.sidebar:
    model = choose_model(store, cross=False)


def show_shares(shares: pd.DataFrame, names: dict[str, str], title: str, key: str, about: str) -> None:
    """A row per subset, a dot per pair of labels that is compared."""
    sizes = shares.groupby("subset", sort=False)["images"].first()
    rows = shares["subset"].map(lambda name: f"{SUBSETS.get(name, name)} ({sizes[name]:,})")
    points = shares.assign(row=rows, who=shares["compared"].map(names), value=shares["share"])
    figure = dot_plot(points, "row", "who", title)
    note = f"{about} Images in brackets; 95 % Wilson intervals."
    show_chart(figure, shares, f"{key}-{model}", note, ends(points, ["row", "who"]))


st.subheader("FER2013, by FER+'s annotators")
shares = annotator_shares(store, model)
if len(shares):
    chosen = shares[shares["subset"].isin(SUBSETS)]
    first = shares[shares["subset"] == "all"].set_index("compared")
    label = first.loc["label"]
    st.markdown(
        f"On **{label['images']:,}** test faces FER2013's own label is what most annotators say on "
        f"**{100 * label['share']:.1f} %** [{100 * label['low']:.1f}, {100 * label['high']:.1f}], so about "
        f"{100 - 100 * label['share']:.0f} % of the labels are noise by that measure; {model} agrees with the "
        f"annotators on {100 * first.loc['model', 'share']:.1f} %."
    )
    names = {"model": f"{model} and the annotators' majority", "label": "FER2013's label and the majority"}
    show_shares(chosen, names, "agreement with FER+'s majority", "annotators", "Six emotions.")
    agreeing = shares[shares["subset"].str.fullmatch(r"\d+ agree")]
    show_shares(agreeing, names, "by how many of ten annotators agree", "agreeing", "Six emotions.")
    neutral = neutral_by_annotators(store)
    if neutral:
        st.markdown(f"Of {neutral[1]:,} “emotional” test faces most annotators call {neutral[0]:,} neutral.")
else:
    st.info(
        f"The store has no FER+ votes, or no predictions of {model} on FER2013: "
        "`python -m training.studies.second_opinions`."
    )

st.subheader("AffectNet, by a second label")
seconds = second_label_shares(store, model)
if len(seconds):
    names = {
        "model, folder": f"{model} and the folder",
        "model, second": f"{model} and the second label",
        "folder, second": "folder and second label",
    }
    show_shares(
        # where both labels agree, their own agreement is nothing to show
        seconds[~(seconds["subset"].str.contains("agree") & (seconds["compared"] == "folder, second"))],
        names,
        "agreement of two labels",
        "seconds",
        "Test images whose second label is one of the six.",
    )
else:
    st.info(f"The store has no second labels, or no predictions of {model} on AffectNet.")
