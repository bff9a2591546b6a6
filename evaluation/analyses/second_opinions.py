"""
What other annotators say of the test images: FER+'s ten votes for FER2013, a second label for AffectNet.

    evaluation/results/fer_plus.csv            source, then votes for the options of FER+ (Barsoum et al. 2016, MIT)
    evaluation/results/affectnet_second.csv    source, second: by its source another model's label, so no truth

`training.studies.second_opinions` writes both. The tables below are computed from stored predictions each time.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from gimefive_hf.emotions import EMOTIONS

from ..metrics import share_interval
from ..queries import aligned_predictions
from ..rows import class_scores, has_twin
from ..store import Store

LEAST_VOTES = 5  # for the six emotions together; under it an image has no majority worth the name
OPTIONS = (*EMOTIONS, "neutral", "contempt", "unknown", "NF")
SHARE_COLUMNS = ["subset", "compared", "right", "images", "share", "low", "high"]


def make_shares(compared: dict[str, tuple[np.ndarray, np.ndarray]], subsets: Iterator[tuple[str, np.ndarray]]):
    """
    How often two labels agree, in each subset: a table of SHARE_COLUMNS, the interval Wilson's at 95 %.

    Args:
        compared: name → two arrays (n,) of labels.
        subsets: name and mask, bool (n,); empty ones are left out.
    """
    rows = []
    for subset, mask in subsets:
        for name, (first, second) in compared.items() if mask.any() else ():
            right, n = int((first == second)[mask].sum()), int(mask.sum())
            rows.append([subset, name, right, n, right / n, *share_interval(right / n, n)])
    return pd.DataFrame(rows, columns=SHARE_COLUMNS)


def predicted_names(frame: pd.DataFrame) -> np.ndarray:
    """The answer among the six of each prediction, (n,) of strings."""
    return np.array(EMOTIONS)[class_scores(frame, 6)[0].argmax(1)]


def annotator_shares(store: Store, model: str) -> pd.DataFrame:
    """
    FER2013's six-class test images by FER+'s majority among the six: how often the model gives it, and how often
    FER2013's own label does, by how many of the ten annotators agree. Empty without votes or predictions.

    Columns: those of `make_shares`; `compared` is "model" or "label". Between emotions of equal votes the first of
    EMOTIONS is taken for the majority; the subset "no tie" leaves those images out.
    """
    table, frame = store.extras.get("fer_plus"), aligned_predictions(store, model, ["fer2013"])
    if table is None or not len(frame):
        return pd.DataFrame(columns=SHARE_COLUMNS)
    counted = table.set_index("source")[list(OPTIONS)].add_prefix("votes ")
    frame = frame.join(counted, on="source", how="inner")
    votes = frame[[f"votes {name}" for name in EMOTIONS]].to_numpy()
    most = votes.max(1)
    majority = np.array(EMOTIONS)[votes.argmax(1)]
    known = votes.sum(1) >= LEAST_VOTES
    no_tie = known & ((votes == most[:, None]).sum(1) == 1)

    def subsets() -> Iterator[tuple[str, np.ndarray]]:
        yield "all", known
        yield "no tie", no_tie
        yield "leak-free", known & ~has_twin(frame, store.extras.get("leaked_test_images"))
        yield "8 or more agree", known & (most >= 8)
        for agreeing in range(3, 11):
            yield f"{agreeing} agree", known & (most == agreeing)

    labels = frame["label"].to_numpy(str)
    return make_shares({"model": (predicted_names(frame), majority), "label": (labels, majority)}, subsets())


def neutral_by_annotators(store: Store) -> tuple[int, int] | None:
    """Of FER2013's six-class test images: how many most annotators call neutral, of how many that have votes."""
    table = store.extras.get("fer_plus")
    if table is None:
        return None
    votes = table[list(EMOTIONS)].to_numpy()
    emotional = ~table["source"].str.contains("/neutral/").to_numpy()
    return int((table["neutral"].to_numpy() > votes.max(1))[emotional].sum()), int(emotional.sum())


def second_label_shares(store: Store, model: str) -> pd.DataFrame:
    """
    AffectNet's six-class test images by folder, by second label, and where both agree; AffectNet proper and FFHQ apart.

    Columns: those of `make_shares`; `compared` is "model, folder" (the model's answer and the folder), "model, second"
    or "folder, second". Only images whose second label is one of the six. Empty without labels or predictions.
    """
    table, frame = store.extras.get("affectnet_second"), aligned_predictions(store, model, ["affectnet"])
    if table is None or not len(frame):
        return pd.DataFrame(columns=SHARE_COLUMNS)
    frame = frame.join(table.set_index("source"), on="source", how="inner")
    folder, second = frame["label"].to_numpy(str), frame["second"].to_numpy(str)
    known, predicted = np.isin(second, EMOTIONS), predicted_names(frame)
    ffhq = frame["source"].str.contains("/ffhq_").to_numpy()

    def subsets() -> Iterator[tuple[str, np.ndarray]]:
        for name, part in (("AffectNet", known & ~ffhq), ("FFHQ", known & ffhq)):
            yield name, part
            yield f"{name}, both labels agree", part & (folder == second)

    pairs = {"model, folder": (predicted, folder), "model, second": (predicted, second)}
    return make_shares(pairs | {"folder, second": (folder, second)}, subsets())


def fer2013_parts(store: Store, model: str) -> pd.DataFrame:
    """
    FER2013 with all seven classes, PublicTest and PrivateTest apart, for a model that knows neutral: a table of
    `make_shares`; `compared` is "model", or "model, neutral faces". Empty for a model of six classes.
    """
    chosen = store.predictions_of(model)
    chosen = chosen[(chosen["corpus"] == "fer2013") & (chosen["split"] == "test")]
    frame = chosen[chosen["protocol"] == "aligned"]
    if not len(frame) or store.models[model].classes != 7 or not (frame["label"] == "neutral").any():
        return pd.DataFrame(columns=SHARE_COLUMNS)
    predicted = np.array([*EMOTIONS, "neutral"])[class_scores(frame, 7)[0].argmax(1)]
    labels = frame["label"].to_numpy(str)

    def subsets() -> Iterator[tuple[str, np.ndarray]]:
        for part in ("PublicTest", "PrivateTest"):
            of_part = frame["source"].str.contains(part).to_numpy()
            yield part, of_part
            yield f"{part}, neutral faces", of_part & (labels == "neutral")

    return make_shares({"model": (predicted, labels)}, subsets())
