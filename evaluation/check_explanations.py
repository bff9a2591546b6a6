"""
What of the stored explanations follows from other files: areas from curves, image counts from average maps, pictures
from both, weights from the package, explained failures from predictions, and the facts of trainings.

Single heat maps are not stored, so the averages themselves and the shares of regions need the corpora:
`training.measuring.attention` measures them anew.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from gimefive_hf.drawing.explanations import draw_average_maps
from gimefive_hf.emotions import EMOTIONS
from gimefive_hf.images.photos import load_image

from .queries import of_other_weights
from .rows import TOLERANCE, class_scores
from .store import Store, read_arrays

SAME_PICTURE = 2.0  # of 255, on average: another version of matplotlib draws letters otherwise, and maps alike


def check_explanations(path: Path, store: Store) -> list[str]:
    """One sentence for each stored row or file that says something else than what it is made of."""
    checks = (curve_faults, attention_faults, failure_faults, run_faults)
    return [fault for check in checks for fault in check(path, store)]


def weights_faults(name: str, table: pd.DataFrame) -> Iterator[str]:
    """Rows that were measured on other weights than the package has of the model."""
    for model, part in table.groupby("model"):
        if of_other_weights(part, str(model)):
            yield f"{name}.csv: {model} was measured on other weights than those of the package"


def curve_faults(path: Path, store: Store) -> Iterator[str]:
    """The area of a mean curve is the mean of the areas."""
    measured, curves = store.extras.get("faithfulness"), store.extras.get("faithfulness_curves")
    if measured is None or curves is None:
        return
    yield from weights_faults("faithfulness", measured)
    for (model, method, curve), part in curves.sort_values("fraction").groupby(["model", "method", "curve"]):
        area = np.trapezoid(part["probability"], part["fraction"])
        row = measured[(measured["model"] == model) & (measured["method"] == method)]
        if len(row) != 1 or abs(row[curve].iloc[0] - area) > TOLERANCE:
            yield f"faithfulness.csv: {curve} of {model}, {method} is not the area of its curve, {area}"
    for row in measured[
        (measured["insertion"] - measured["deletion"] - measured["gap"]).abs() > TOLERANCE
    ].itertuples():
        yield f"faithfulness.csv: the gap of {row.model}, {row.method} is not insertion - deletion"


def attention_faults(path: Path, store: Store) -> Iterator[str]:
    """Images behind the shares of regions, which add up to 1; maps in [0, 1], and the picture that they give."""
    table = store.extras.get("attention")
    if table is None:
        return
    yield from weights_faults("attention", table)
    for model, rows in table.groupby("model"):
        try:
            stored = read_arrays(path / f"attention_{model}.npz")
        except ValueError as error:
            yield str(error)
            continue
        corpora, maps = stored["corpora"].tolist(), stored["maps"]
        if not ((maps >= 0) & (maps <= 1) | (stored["counts"] == 0)[..., None, None]).all():
            yield f"attention_{model}.npz: maps outside of 0 to 1"
        for (corpus, emotion), part in rows.groupby(["corpus", "emotion"]):
            of_part = np.ix_([corpus in (c, "all") for c in corpora], [emotion in (e, "all") for e in EMOTIONS])
            images, without = (int(stored[name][of_part].sum()) for name in ("counts", "without_face"))
            counted = set(part["images"] + part["without_heat"]) == {images} and set(part["without_face"]) == {without}
            if not counted or not np.allclose(part[["share", "area"]].sum(), 1):
                yield f"attention.csv: {model}, {corpus}, {emotion}: not the {images} images of the maps, or no shares"
        title = f"{model}: average {rows['method'].iloc[0]} of the label"
        drawn = draw_average_maps(maps, corpora, EMOTIONS, stored["counts"], title, stored["landmarks"])
        picture = path / f"attention_{model}.png"
        shown = load_image(picture).astype(np.float32) if picture.is_file() else np.zeros(0)
        if shown.shape != drawn.shape or np.abs(shown - drawn).mean() > SAME_PICTURE:
            yield f"attention_{model}.png does not show the maps of attention_{model}.npz"


def failure_faults(path: Path, store: Store) -> Iterator[str]:
    """Label, answer and both scores of explained failures are those of the predictions, and each has its maps."""
    table = store.extras.get("failures")
    for model, rows in table.groupby("model") if table is not None else ():
        frame = store.predictions_of(str(model))
        frame = frame[(frame["protocol"] == "aligned") & (frame["split"] == "test")]
        frame = rows[["corpus", "source"]].merge(frame, "left", ["corpus", "source"])
        if frame["label"].isna().any():
            yield f"failures.csv: {frame['label'].isna().sum()} images of {model} have no prediction"
            continue
        scores, labels = class_scores(frame, len(EMOTIONS))
        found = {"label": frame["label"], "predicted": np.array(EMOTIONS)[scores.argmax(1)]}
        wrong = sum((rows[name].to_numpy() != values).astype(int) for name, values in found.items())
        numbers = {"probability": scores.max(1), "label_probability": scores[np.arange(len(labels)), labels]}
        wrong += sum(~np.isclose(rows[name], values, atol=1e-6) for name, values in numbers.items())
        if wrong.any():
            yield f"failures.csv: {(wrong > 0).sum()} rows of {model} are not those of its predictions"
        try:
            count = len(read_arrays(path / f"failures_{model}.npz")["maps"])
        except ValueError as error:
            yield str(error)
        else:
            if rows["map"].max() >= count:
                yield f"failures_{model}.npz has {count} maps, failures.csv has rows up to {rows['map'].max() + 1}"


def run_faults(path: Path, store: Store) -> Iterator[str]:
    """Runs whose predictions the store does not have, or has of another training."""
    runs = store.extras.get("runs")
    for row in runs.itertuples() if runs is not None else ():
        facts = store.models.get(row.model)
        if facts is None:
            yield f"runs.csv: there are no predictions of {row.model}"
        elif (facts.parameters, facts.seed, facts.trained_on) != (row.parameters, row.seed, row.trained_on):
            yield f"runs.csv: parameters, seed or corpora of {row.model} are not those of its predictions"
