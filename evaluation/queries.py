"""Questions to the store that tables, cards and the explorer share."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from gimefive_hf.emotions import EMOTIONS

from .corpora import corpus_titles
from .rows import class_scores
from .store import RESULT_KEY, Store, hash_file

CHECKPOINTS = Path(__file__).parents[1] / "gimefive_hf" / "checkpoints"
FLAGSHIP = "gimefive"
WITH_NEUTRAL = "gimefive-7"  # its sibling, which the apps ask by default
# Beginnings of the names of models that stand for a study, not for themselves.
CROSS, TABLE2, AUGMENTATION = STUDIES = "cross-", "table2-", "augmentation-"
# Of the cross-dataset models, those whose whole network is trained; the others are linear classifiers.
CROSS_TRAINED = "cross-trained-"


def find_row(store: Store, model: str, metric: str = "accuracy", **where) -> pd.Series | None:
    """
    The one row of results.csv that fits, by default of all six-class images of an aligned test split; None if there
    is none, because missing is not zero. `where` names the corpus and whatever else of RESULT_KEY differs.
    """
    wanted = {"split": "test", "subset": "full", "protocol": "aligned", "classes": 6, "class": ""} | where
    wanted |= {"model": model, "metric": metric}
    assert set(wanted) == set(RESULT_KEY), wanted
    position = store.positions.get(tuple(wanted[name] for name in RESULT_KEY))
    return None if position is None else store.results.iloc[position]


def tested_corpora(store: Store, model: str) -> list[str]:
    """Corpora with an aligned test of the model on the six, in the order of tables, first those with a record."""
    rows = store.results[(store.results["model"] == model) & (store.results["split"] == "test")]
    rows = rows[rows["classes"] == len(EMOTIONS)]
    present = set(rows[rows["protocol"] == "aligned"]["corpus"])
    known = [corpus for corpus in corpus_titles() if corpus in present]
    return [*known, *sorted(present - set(known))]


def order_models(store: Store, cross: bool = False) -> list[str]:
    """The flagship first, then other models of ours and peers, and with `cross` those of the studies."""
    names = [name for name in store.models if cross or not name.startswith(STUDIES)]
    return sorted(names, key=lambda n: (n != FLAGSHIP, n.startswith(STUDIES), not n.startswith(FLAGSHIP), n))


def right_of(frame: pd.DataFrame) -> np.ndarray:
    """Whether each prediction is right among the six classes, bool (n,)."""
    probabilities, labels = class_scores(frame, 6)
    return probabilities.argmax(1) == labels


def scored_images(store: Store, model: str, corpora: Iterable[str], protocol: str) -> pd.DataFrame:
    """The model's test predictions of six-class images on some corpora, of one protocol."""
    frame = store.predictions_of(model)
    chosen = (frame["protocol"] == protocol) & (frame["split"] == "test")
    return frame[chosen & frame["corpus"].isin(list(corpora)) & frame["label"].isin(EMOTIONS)]


def aligned_predictions(store: Store, model: str, corpora: Iterable[str]) -> pd.DataFrame:
    """The model's aligned test predictions of six-class images on some corpora."""
    return scored_images(store, model, corpora, "aligned")


def as_given(store: Store, model: str, corpus: str, protocols: Iterable[str]) -> pd.DataFrame:
    """The aligned predictions of the very images of a corpus that were also given by one of the protocols."""
    frame = store.predictions_of(model)
    drawn = frame[(frame["corpus"] == corpus) & frame["protocol"].isin(list(protocols))]["source"]
    aligned = aligned_predictions(store, model, [corpus])
    return aligned[aligned["source"].isin(drawn)]


def protocol_title(protocol: str) -> str:
    """How the test images were given, in words: `gaussian noise, strength 3 of 5`."""
    if protocol == "aligned":
        return "aligned crops"
    if protocol == "detected":
        return "found again in a scene"
    kind, _, rest = protocol.partition("/")
    if kind == "corrupted":
        name, _, strength = rest.partition("/")
        return f"{name.replace('_', ' ')}, strength {strength} of 5"
    return f"found again, {rest.replace('-', ' ').replace('_', ' ')}"


def interval_text(value: float, low: float, high: float) -> str:
    """`86.5 [85.1, 87.8]` in percent."""
    return f"{100 * value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def percent_text(row: pd.Series | None, n: bool = True, unit: str = " %") -> str:
    """`86.5 % [85.1, 87.8] of 2,388`, or a dash."""
    if row is None or np.isnan(row["value"]):
        return "–"
    text = f"{100 * row['value']:.1f}{unit}"
    if not np.isnan(row["low"]):
        text += f" [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
    return f"{text} of {row['n_scored']:,}" if n else text


def of_other_weights(rows: pd.DataFrame, model: str) -> bool:
    """Whether the rows of a model (column `weights`) were measured on other weights than the package has of it."""
    weights = CHECKPOINTS / model / "model.safetensors"
    return weights.is_file() and set(rows["weights"].astype(str)) != {hash_file(weights)}
