"""Mistakes: the ones that were explained, with heat maps, and the list of all; pictures only where the corpora are."""

from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from parts.charts import dot_plot
from parts.pictures import corpora_folder, draw_heat, read_picture
from parts.sentences import ends
from parts.store import choose, choose_tested, download_table, show_chart, start_page, stop_without, store_path

from evaluation.corpora import corpora_of, title_of
from evaluation.metrics import mean_interval
from evaluation.queries import order_models, protocol_title, right_of, scored_images
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
        st.info(
            f"No heat maps: {error}. `python -m training.measuring.failures --model {model} --data DIR` makes them."
        )
        return None
    return maps


def show_explained(store: Store, model: str, answers: pd.DataFrame, folder: Path | None) -> None:
    """
    The failures that `training.measuring.failures` has explained, as far as they are among `answers`, of the chosen
    label and answer: pictures, and why.
    """
    table = store.extras.get("failures")
    if table is None or not (table["model"] == model).any():
        command = f"python -m training.measuring.failures --model {model} --data DIR"
        st.info(f"No failures of {model} have been explained yet: `{command}`.")
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
            f"`python -m training.measuring.failures --model {model} --data DIR` renews them."
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
    for row in part.head(SHOWN).itertuples():
        with st.container(border=True):
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
    shown = {} if picture is None else {f"a face labelled {row.label}": picture}
    if maps is not None:  # of a near tie that is right, answer and label have the same map
        heats = zip((row.predicted, row.label), maps if row.predicted != row.label else maps[:1], strict=False)
        for name, heat in heats:
            shown[f"{'what' if heat.any() else 'nothing'} spoke for {name}"] = draw_heat(heat, picture)
    if shown:
        st.image(list(shown.values()), width=168, caption=list(shown), alt=list(shown))
    verdict = "taken for" if row.predicted != row.label else "rightly taken for"
    st.markdown(f"**{row.label}**, {verdict} **{row.predicted}** ({row.probability:.0%})")
    st.caption(f"{row.evidence}. {row.reason}. {row.corpus}: {row.source}")


def found_faces(frame: pd.DataFrame) -> pd.DataFrame:
    """Predictions of faces that were found: all, of aligned crops."""
    return frame[frame["face_found"].astype(bool)]


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


def votes_for_label(store: Store, wrong: pd.DataFrame) -> np.ndarray:
    """How many of FER+'s ten annotators gave each image its label, float (n,); NaN where nobody was asked."""
    table = store.extras.get("fer_plus")
    if table is None:
        return np.full(len(wrong), np.nan)
    votes = table.set_index("source")[list(EMOTIONS)].stack()
    keys = pd.MultiIndex.from_frame(wrong[["image", "label"]])
    return votes.reindex(keys).where(wrong["corpus"].to_numpy() == "fer2013").to_numpy(float)


def agreement(store: Store, wrong: pd.DataFrame, models: list[str], protocol: str) -> np.ndarray:
    """How many of the other models are right on each image, int (n,)."""
    count = np.zeros(len(wrong), int)
    keys = pd.MultiIndex.from_frame(wrong[["corpus", "image"]])
    for name in models:
        frame = found_faces(scored_images(store, name, wrong["corpus"].unique(), protocol))
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
    show_chart(dot_plot(shares, "label", "measure", title), shares, key, note, ends(shares, ["label"]))


store = start_page("Failures", "What the model gets wrong, how sure it was, and what it looked at.")
with st.sidebar:
    model, corpus = choose_tested(store)
    rows = store.predictions_of(model)
    rows = rows[rows["split"] == "test"]
    protocols = rows[rows["corpus"].isin(corpora_of(corpus))]["protocol"].unique()
    titles = {protocol_title(name): name for name in sorted(protocols, key=lambda name: (name != "aligned", name))}
    images = choose("Images given as", list(titles), "images")
    protocol = titles[images]
    label = choose("Label", ["any", *EMOTIONS], "label")
    predicted = choose("Predicted as", ["any", *EMOTIONS], "predicted")
folder = corpora_folder()
table = all_answers(found_faces(scored_images(store, model, corpora_of(corpus), protocol)))
stop_without(len(table) > 0, f"The store has no predictions of {model} on {title_of(corpus)}.")
given = "" if protocol == "aligned" else f", {images}"
show_shares(table, f"{model} on {title_of(corpus)}{given}: share wrong", f"wrong-{model}-{corpus}-{protocol}")

if protocol == "aligned":
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
scored = store.predictions[store.predictions["protocol"] == protocol]["model"].unique()
others = [name for name in order_models(store) if name != model and name in scored]
wrong = wrong.assign(**{"other models right": agreement(store, wrong, others, protocol)})
orders = {"confidence": "confidence", "how many other models are right": "other models right"}
if "fer2013" in corpora_of(corpus):
    wrong["annotators for the label"] = votes_for_label(store, wrong)
    orders["how many annotators gave the label"] = "annotators for the label"
order = orders[choose("Sort by", list(orders), "sort")]
wrong = wrong.sort_values([order, "confidence"], ascending=False).drop(columns="group")
asked = "" if label == "any" else f" of {label}"
st.caption(
    f"{len(wrong):,} of {len(of_label):,} test images{asked} of {title_of(corpus)}{given}"
    + (" are wrong." if predicted == "any" else f" are taken for {predicted}.")
    + f" Other models: {', '.join(others) or 'none'}."
    + (" Annotators: of ten, FER+'s." if "annotators for the label" in wrong else "")
)
stop_without(len(wrong) > 0, "No such mistakes.")
percent = st.column_config.NumberColumn(format="percent")
columns = {"confidence": percent, "score of the label": percent}
alt = f"{len(wrong):,} wrong answers, sorted by {order}"
# On a phone the label and the answer come first, the file's name last.
first = ["label", "predicted", "confidence", order, *wrong.columns]
wrong = wrong[[*(name for name in dict.fromkeys(first) if name not in ("corpus", "image")), "corpus", "image"]]
st.dataframe(wrong, hide_index=True, height=320, column_config=columns, placeholder="–", alt=alt)
download_table(wrong, f"failures-{model}-{corpus}-{protocol.replace('/', '-')}")
