"""For which kind of input the confidence holds: in the wild, posed, as deployed, resting. A table of plain numbers."""

import numpy as np
import pandas as pd

from gimefive_hf.emotions import EMOTIONS

from ..corpora import corpora_with
from ..metrics import expected_calibration_error
from ..rows import class_scores
from ..store import NEUTRAL, Store

TEMPERATURES = np.geomspace(0.4, 2.5, 85)  # tried on top of the model's own


def rescale(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (n, classes) as they were if the logits were divided by `temperature` once more."""
    powers = np.maximum(probabilities, 1e-12) ** (1 / temperature)
    return powers / powers.sum(1, keepdims=True)


def best_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The further temperature of the lowest log-loss."""
    rows = np.arange(len(labels))
    losses = [-np.log(rescale(probabilities, t)[rows, labels]).mean() for t in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(losses))])


def kinds_of(store: Store, model: str) -> dict[str, pd.DataFrame]:
    """
    Test predictions by kind of input; the validation set of the paper repeats RAF-DB and is left out. Faces in the wild
    include resting ones for a model that knows neutral: without them each of its answers "neutral" were a mistake.
    """
    frame = store.predictions_of(model)
    frame = frame[(frame["split"] == "test") & frame["face_found"].astype(bool)]
    known = (*EMOTIONS, NEUTRAL) if store.models[model].classes > len(EMOTIONS) else EMOTIONS
    emotional, aligned = frame["label"].isin(EMOTIONS), frame["protocol"] == "aligned"
    wild = frame["corpus"].isin(corpora_with(setting="wild", test=True))
    posed = frame["corpus"].isin(corpora_with(setting="posed", test=True))
    return {
        "in the wild, aligned crops": frame[frame["label"].isin(known) & aligned & wild],
        "in the wild, photo in": frame[emotional & wild & (frame["protocol"] == "detected")],
        "posed, aligned crops": frame[emotional & aligned & posed],
        "resting faces (FER2013's neutral)": frame[
            aligned & (frame["label"] == NEUTRAL) & (frame["corpus"] == "fer2013")
        ],
    }


def confidence_rows(store: Store, model: str) -> pd.DataFrame:
    """
    Per kind of input: `images`, `accuracy`, `confidence` (mean of the largest probability), `error` (expected
    calibration error), `temperature` (the further one that would suit this kind best) and `best_error` with it. Resting
    faces only for a model that knows neutral. Shares in [0, 1].
    """
    if model not in store.models:
        return pd.DataFrame()
    classes, rows = store.models[model].classes, []
    for kind, frame in kinds_of(store, model).items():
        if not len(frame) or (classes == len(EMOTIONS) and (frame["label"] == NEUTRAL).any()):
            continue
        probabilities, labels = class_scores(frame, classes)
        temperature = best_temperature(probabilities, labels)
        right = probabilities.argmax(1) == labels  # at every temperature
        rows.append(
            {
                "kind": kind,
                "images": len(frame),
                "accuracy": float(right.mean()),
                "confidence": float(probabilities.max(1).mean()),
                "error": expected_calibration_error(probabilities.max(1), right),
                "temperature": temperature,
                "best_error": expected_calibration_error(rescale(probabilities, temperature).max(1), right),
            }
        )
    return pd.DataFrame(rows)
