"""Mistakes: the ones that were explained, with heat maps, and the list of all; pictures only where the corpora are."""

from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from explorer_charts import interval_bars
from explorer_pictures import corpora_folder, draw_heat, read_picture
from explorer_store import (
    choose,
    choose_corpus,
    choose_model,
    download_table,
    show_chart,
    start_page,
    stop_without,
    store_path,
)

from evaluation.corpora import corpora_of, title_of
from evaluation.metrics import mean_interval
from evaluation.queries import aligned_predictions, order_models, right_of, tested_corpora
from evaluation.rows import class_scores, image_groups
from evaluation.store import Store, read_arrays
from gimefive_hf.emotions import EMOTIONS

SHOWN = 12
ABOUT = {
    "confident mistake": "wrong answers that the model was surest of",
    "near tie": "images on which the two best answers are closest, right or wrong",
    "likely label error": "images whose label FER+'s ten annotators, or the model itself, doubt",
}


@st.cache_data(show_spinner=False)
def cached_maps(path: str, changed: int) -> np.ndarray:
    return read_arrays(Path(path))["maps"]


def stored_maps(model: str, rows: int) -> np.ndarray | None:
    """Heat maps uint8 (rows, 2, side, side) of answer and label; None, and a word about it, if they do not fit."""
    path = store_path() / f"failures_{model}.npz"
    try:
        maps = cached_maps(str(path), path.stat().st_mtime_ns if path.is_file() else 0)
        if len(maps) < rows:
            raise ValueError(f"{path.name} has {len(maps)} maps, failures.csv has rows up to {rows}")
    except (ValueError, KeyError) as error:
        st.info(f"No heat maps: {error}. `python -m training.failures --model {model} --data DIR` makes them.")
        return None
    return maps


def show_explained(store: Store, model: str, answers: pd.DataFrame, folder: Path | None) -> None:
    """
    The failures that `training.failures` has explained, as far as they are among `answers`, of the chosen label and
    answer: pictures, and why.
    """
    table = store.extras.get("failures")
    if table is None or not (table["model"] == model).any():
        st.info(
            f"No failures of {model} have been explained yet: `python -m training.failures --model {model} --data DIR`."
        )
        return
    part = table[(table["model"] == model) & table["corpus"].isin(answers["corpus"].unique())]
    if not len(part):
        st.info(f"No failures of {model} on this test split have been explained.")
        return
    present = answers[["corpus", "image", "confidence"]]
    part = part.merge(present, left_on=["corpus", "source"], right_on=["corpus", "image"], how="left")
    if not np.isclose(part["probability"], part["confidence"], atol=0.02).all():
        st.warning(
            f"These were explained with other weights than those of the stored predictions: "
            f"`python -m training.failures --model {model} --data DIR` renews them."
        )
    part = part[(label == "any") | (part["label"] == label)]
    part = part[(predicted == "any") | (part["predicted"] == predicted)]
    if not len(part):
        st.info("No failure with this label and answer has been explained; all of them are listed below.")
        return
    kind = choose("Kind", [name for name in ABOUT if name in set(part["kind"])], "kind")
    part = part[part["kind"] == kind]
    images = part.groupby("corpus")["images"].first().sum()
    st.caption(
        f"{kind.capitalize()}s: {ABOUT[kind]}. The {min(len(part), SHOWN)} clearest of {len(part)} stored, out of "
        f"{images:,} test images. Heat: what spoke for the answer, and what spoke for the label."
    )
    maps = stored_maps(model, int(table[table["model"] == model]["map"].max()) + 1)
    for start in range(0, min(len(part), SHOWN), 2):
        for column, row in zip(st.columns(2), part.iloc[start : start + 2].itertuples(), strict=False):
            with column.container(border=True):
                show_failure(row, None if maps is None else maps[row.map], folder)
    columns = [
        "kind",
        "corpus",
        "source",
        "label",
        "predicted",
        "probability",
        "label_probability",
        "evidence",
        "reason",
    ]
    download_table(part[columns], f"explained-failures-{model}-{kind.replace(' ', '-')}")


def show_failure(row, maps: np.ndarray | None, folder: Path | None) -> None:
    """One failure: the picture if there is one, its heat maps if there are any, and why."""
    picture = None if folder is None else read_picture(folder, row.corpus, row.source)
    shown = [] if picture is None else [picture]
    if maps is not None:  # of a near tie that is right, answer and label have the same map
        shown += [draw_heat(heat, picture) for heat in (maps if row.predicted != row.label else maps[:1])]
    if shown:
        st.image(shown, width=112)
    verdict = "taken for" if row.predicted != row.label else "rightly taken for"
    st.markdown(f"**{row.label}**, {verdict} **{row.predicted}** ({row.probability:.0%})")
    st.caption(f"{row.evidence}. {row.reason}. {row.corpus}: {row.source}")


def all_answers(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per test image: its label, the answer, and what both were given."""
    probabilities, labels = class_scores(frame, 6)
    names = np.array(EMOTIONS)
    return pd.DataFrame(
        {
            "corpus": frame["corpus"].to_numpy(),
            "image": frame["source"].to_numpy(),
            "label": names[labels],
            "predicted": names[probabilities.argmax(1)],
            "confidence": probabilities.max(1),
            "score of the label": probabilities[np.arange(len(labels)), labels],
            "group": image_groups(frame),
        }
    )


def agreement(store: Store, wrong: pd.DataFrame, models: list[str]) -> np.ndarray:
    """How many of the other models are right on each image, int (n,)."""
    count = np.zeros(len(wrong), int)
    keys = pd.MultiIndex.from_frame(wrong[["corpus", "image"]])
    for name in models:
        frame = aligned_predictions(store, name, wrong["corpus"].unique())
        known = pd.Series(right_of(frame), pd.MultiIndex.from_frame(frame[["corpus", "source"]]))
        count += known.reindex(keys, fill_value=False).to_numpy(bool)
    return count


def show_shares(table: pd.DataFrame, title: str, key: str) -> None:
    """The share of each label's images that is wrong."""
    rows = []
    for name, part in table.groupby("label"):
        wrong = (part["label"] != part["predicted"]).to_numpy(float)
        rows.append([name, "wrong", wrong.mean(), *mean_interval(wrong, part["group"].to_numpy(str)), len(part)])
    shares = pd.DataFrame(rows, columns=["label", "measure", "value", "low", "high", "n"])
    shares = shares.sort_values("value", ascending=False)
    sizes = ", ".join(f"{row.label} {row.n:,}" for row in shares.itertuples())
    note = f"95 % bootstrap intervals. Test images per label: {sizes}."
    show_chart(interval_bars(shares, "label", "measure", title), shares, key, note)


store = start_page("Failures", "What the model gets wrong, how sure it was, and what it looked at.")
with st.sidebar:
    model = choose_model(store)
    corpora = tested_corpora(store, model)
    stop_without(bool(corpora), f"{model} has no aligned test results.")
    corpus = choose_corpus(corpora)
    label = choose("Label", ["any", *EMOTIONS], "label")
    predicted = choose("Predicted as", ["any", *EMOTIONS], "predicted")
folder = corpora_folder()
table = all_answers(aligned_predictions(store, model, corpora_of(corpus)))
stop_without(len(table) > 0, f"The store has no predictions of {model} on {title_of(corpus)}.")
show_shares(table, f"{model} on {title_of(corpus)}: share wrong", f"wrong-{model}-{corpus}")

st.subheader("Explained")
if folder is None:
    st.info(
        "The corpora are not on this machine, so heat maps, file names and scores are shown without the pictures, "
        "which are not ours to publish. `GIMEFIVE_CORPORA=DIR` tells where they are."
    )
show_explained(store, model, table, folder)

st.subheader("All wrong answers")
of_label = table if label == "any" else table[table["label"] == label]
wrong = of_label[of_label["label"] != of_label["predicted"]]
wrong = wrong if predicted == "any" else wrong[wrong["predicted"] == predicted]
others = [name for name in order_models(store) if name != model]
wrong["other models right"] = agreement(store, wrong, others)
orders = {"confidence": "confidence", "how many other models are right": "other models right"}
order = orders[choose("Sort by", list(orders), "sort")]
wrong = wrong.sort_values([order, "confidence"], ascending=False).drop(columns="group")
asked = "" if label == "any" else f" of {label}"
st.caption(
    f"{len(wrong):,} of {len(of_label):,} test images{asked} of {title_of(corpus)}"
    + (" are wrong." if predicted == "any" else f" are taken for {predicted}.")
    + f" Other models: {', '.join(others) or 'none'}."
)
stop_without(len(wrong) > 0, "No such mistakes.")
percent = st.column_config.NumberColumn(format="percent")
st.dataframe(wrong, hide_index=True, height=320, column_config={"confidence": percent, "score of the label": percent})
download_table(wrong, f"failures-{model}-{corpus}")
