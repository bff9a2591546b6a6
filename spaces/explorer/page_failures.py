"""The most confident mistakes; pictures only where the corpora are on this machine."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from explorer_store import choose, choose_corpus, choose_model, start_page, stop_without
from PIL import Image

from gimefive_hf.configuration_gimefive import EMOTIONS
from gimefive_hf.result_queries import CORPUS_TITLES, aligned_predictions, corpora_of, tested_corpora
from gimefive_hf.result_rows import class_scores

SHOWN = 24


def corpora_folder() -> Path | None:
    """`$GIMEFIVE_CORPORA`, or `../shared/corpora` beside the repository; None if there is neither."""
    default = Path(__file__).parents[3] / "shared" / "corpora"
    folder = Path(os.environ.get("GIMEFIVE_CORPORA") or default)
    return folder if folder.is_dir() else None


def read_picture(folder: Path, corpus: str, source: str) -> Image.Image | None:
    """One image of a corpus's zip file; None if this copy does not have it."""
    path = folder / f"{corpus}.zip"
    if not path.is_file():
        return None
    with zipfile.ZipFile(path) as archive:
        if source not in archive.namelist():
            return None
        return Image.open(io.BytesIO(archive.read(source))).convert("RGB")


store = start_page("Failures", "Wrong answers, the most confident ones first.")
with st.sidebar:
    model = choose_model(store)
    corpora = tested_corpora(store, model)
    stop_without(bool(corpora), f"{model} has no aligned test results.")
    corpus = choose_corpus(corpora)
    label = choose("Label", ["any", *EMOTIONS], "label")
    predicted = choose("Predicted as", ["any", *EMOTIONS], "predicted")
frame = aligned_predictions(store, model, corpora_of(corpus))
probabilities, labels = class_scores(frame, 6)
answers = probabilities.argmax(1)
names = np.array(EMOTIONS)
table = pd.DataFrame(
    {
        "corpus": frame["corpus"].to_numpy(),
        "image": frame["source"].to_numpy(),
        "label": names[labels],
        "predicted": names[answers],
        "confidence": probabilities.max(1),
        "score of the label": probabilities[np.arange(len(labels)), labels],
    }
)
of_label = table if label == "any" else table[table["label"] == label]
wrong = of_label[of_label["label"] != of_label["predicted"]]
wrong = wrong if predicted == "any" else wrong[wrong["predicted"] == predicted]
wrong = wrong.sort_values("confidence", ascending=False)
asked = "" if label == "any" else f" of {label}"
st.caption(
    f"{len(wrong):,} of {len(of_label):,} test images{asked} of {CORPUS_TITLES[corpus]}"
    + (" are wrong." if predicted == "any" else f" are taken for {predicted}.")
)
stop_without(len(wrong) > 0, "No such mistakes.")
st.dataframe(wrong.style.format({"confidence": "{:.1%}", "score of the label": "{:.1%}"}), hide_index=True, height=320)
st.download_button(
    "Data (CSV)", wrong.to_csv(index=False), f"failures-{model}-{corpus}.csv", "text/csv", key="csv-failures"
)
folder = corpora_folder()
if folder is None:
    st.info(
        "The corpora are not on this machine, so only file names and scores are shown. "
        "Their images are not ours to publish."
    )
else:
    columns = st.columns(6)
    for number, row in enumerate(wrong.head(SHOWN).itertuples()):
        picture = read_picture(folder, row.corpus, row.image)
        if picture is not None:
            text = f"{row.label}, taken for {row.predicted} ({row.confidence:.0%})"
            columns[number % 6].image(picture.resize((128, 128), Image.Resampling.BICUBIC), caption=text)
