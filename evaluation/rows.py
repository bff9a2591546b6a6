"""From predictions to the rows of results.csv: which images, which classes, which metrics."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock

from gimefive_hf.emotions import EMOTIONS

from .corpora import AGGREGATE, CORPORA, corpora_of, corpora_with
from .metrics import compute_metrics, confusion_matrix, mean_interval
from .store import (
    NEUTRAL,
    RESULT_COLUMNS,
    RESULT_KEY,
    ModelFacts,
    predictions_path,
    read_leaked,
    read_predictions,
    read_table,
    write_results,
)

TOLERANCE = 1e-9  # between stored and recomputed figures; sums in another order differ by about 1e-13


def class_scores(frame: pd.DataFrame, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """
    Probabilities (n, classes) float64 and labels (n,) of predictions. With six classes a seven-class model's
    probabilities are renormalised over the six, so that it never answers neutral.
    """
    names = [*EMOTIONS, NEUTRAL][:classes]
    scores = frame[names].to_numpy(np.float64)
    labels = frame["label"].map({name: index for index, name in enumerate(names)}).to_numpy(np.int64)
    return scores / np.maximum(scores.sum(1, keepdims=True), 1e-12), labels


def image_groups(frame: pd.DataFrame) -> np.ndarray:
    """What the bootstrap draws: the subject where the corpus tells it, else the image. (n,) of strings."""
    name = frame["subject"].where(frame["subject"].notna(), frame["source"])
    return (frame["corpus"].astype(str) + "/" + name.astype(str)).to_numpy(str)


def has_twin(frame: pd.DataFrame, leaked: pd.DataFrame | None) -> np.ndarray:
    """Which images stand, the same or nearly, in training data, as `read_leaked` lists them; bool (n,)."""
    if leaked is None:
        return np.zeros(len(frame), bool)
    keys = ["corpus", "source"]
    return np.asarray(pd.MultiIndex.from_frame(frame[keys]).isin(pd.MultiIndex.from_frame(leaked[keys])))


def subsets(frame: pd.DataFrame, leaked: pd.DataFrame | None) -> Iterator[tuple[str, pd.DataFrame]]:
    """The named parts of one corpus and split: full, leak-free if anything leaked, and the corpus's subgroups."""
    yield "full", frame
    twin = has_twin(frame, leaked)
    if twin.any() and not twin.all():
        yield "leak-free", frame[~twin]
    corpora = set(frame["corpus"].unique())
    record = CORPORA.get(corpora.pop()) if len(corpora) == 1 else None
    for name, first_letter in record.groups.items() if record else ():
        yield name, frame[frame["subject"].str.startswith(first_letter)]


def score_rows(frame: pd.DataFrame, classes: int) -> Iterator[dict]:
    """Metric rows of one subset: metric, class, value, low, high, n_scored, n_total."""
    names = [*EMOTIONS, NEUTRAL][:classes]
    frame = frame[frame["label"].isin(names)]
    found = frame[frame["face_found"].astype(bool)]
    total = len(frame)
    of_class = frame["label"].value_counts()
    if len(found):
        probabilities, labels = class_scores(found, classes)
        for score in compute_metrics(probabilities, labels, image_groups(found)):
            name = "" if score.label is None else names[score.label]
            n_total = int(of_class.get(name, 0)) if score.metric == "recall" else total
            row = {"metric": score.metric, "class": name, "value": score.value, "low": score.low, "high": score.high}
            yield row | {"n_scored": score.n, "n_total": n_total}
        matrix = confusion_matrix(labels, probabilities.argmax(1), classes)
        for (i, j), count in np.ndenumerate(matrix):
            row = {"metric": "confusion", "class": f"{names[i]}>{names[j]}", "value": float(count)}
            yield row | {"n_scored": int(matrix[i].sum()), "n_total": int(of_class.get(names[i], 0))}
    if total and frame["protocol"].str.startswith("detected").all():
        is_found = frame["face_found"].astype(bool).to_numpy()
        right = np.zeros(total)
        if len(found):
            right[is_found] = probabilities.argmax(1) == labels
        for metric, values in (("faces_found", is_found.astype(float)), ("accuracy_of_all", right)):
            low, high = mean_interval(values, image_groups(frame))
            row = {"metric": metric, "class": "", "value": float(values.mean()), "low": low, "high": high}
            yield row | {"n_scored": total, "n_total": total}


def compute_results(frame: pd.DataFrame, facts: ModelFacts, leaked: pd.DataFrame | None) -> pd.DataFrame:
    """All rows of results.csv for the predictions of one model."""
    parts = [(*key, part) for key, part in frame.groupby(["corpus", "split", "protocol"], sort=True)]
    for protocol in sorted(frame["protocol"].unique()):
        parts_of = corpora_of(AGGREGATE)
        of_aggregate = frame[
            frame["corpus"].isin(parts_of) & (frame["split"] == "test") & (frame["protocol"] == protocol)
        ]
        if set(of_aggregate["corpus"].unique()) == set(parts_of):
            parts.append((AGGREGATE, "test", protocol, of_aggregate))
    rows = []
    for corpus, split, protocol, part in parts:
        for subset, chosen in subsets(part, leaked):
            for classes in (6, 7)[: facts.classes - 5]:
                if classes == 7 and not (chosen["label"] == NEUTRAL).any():
                    continue  # without neutral images the seven-class figures would be of another test
                if classes == 6 and corpus in corpora_with(neutral_test=True):
                    continue  # what it has of the six is too little to be a test of them
                where = {"corpus": corpus, "split": split, "subset": subset, "protocol": protocol, "classes": classes}
                rows += [where | row for row in score_rows(chosen, classes)]
    table = pd.DataFrame(rows)
    for name in ("model", "revision", "trained_on", "seed", "date", "commit"):
        table[name] = getattr(facts, name)
    return table.reindex(columns=RESULT_COLUMNS)


def compare_results(stored: pd.DataFrame, computed: pd.DataFrame) -> list[str]:
    """What differs between results.csv and what the predictions give, one sentence per row."""

    def text(key: tuple) -> str:
        return "/".join(str(part) for part in key if part != "")

    old, new = (frame.set_index(RESULT_KEY) for frame in (stored, computed))
    faults = [
        f"{text(key)}: in results.csv, but the predictions do not give it" for key in old.index.difference(new.index)
    ]
    faults += [f"{text(key)}: missing from results.csv" for key in new.index.difference(old.index)]
    both = new.index.intersection(old.index)
    old, new = old.loc[both], new.loc[both]
    for name in ("value", "low", "high", "n_scored", "n_total"):
        stored_values, values = old[name].to_numpy(np.float64), new[name].to_numpy(np.float64)
        differs = ~np.isclose(stored_values, values, rtol=0, atol=TOLERANCE, equal_nan=True)
        faults += [
            f"{text(both[i])}: {name} is {stored_values[i]} in results.csv, {values[i]} by the predictions"
            for i in np.flatnonzero(differs)
        ]
    for name in ("revision", "trained_on", "date", "commit"):
        differs = old[name].astype(str).to_numpy() != new[name].astype(str).to_numpy()
        faults += [f"{text(both[i])}: {name} is stale" for i in np.flatnonzero(differs)]
    return faults


def update_results(store: Path, models: list[str] | None = None) -> pd.DataFrame:
    """
    Recompute the rows of `models` (None: of all that have predictions) and write results.csv; rows of other models
    stay, rows of models without predictions go.

    Raises:
        ValueError: if a prediction file is broken; nothing is written then.
    """
    with FileLock(store / ".results.lock"):  # two evaluations may end at the same time
        leaked = read_leaked(store)
        present = {path.stem: path for path in sorted((store / "predictions").glob("*.parquet"))}
        chosen = list(present) if models is None else models
        tables = []
        if models is not None and (store / "results.csv").is_file():
            old = read_table(store / "results.csv", RESULT_COLUMNS, RESULT_KEY)
            tables.append(old[old["model"].isin(present) & ~old["model"].isin(chosen)])
        for model in chosen:
            facts, frame = read_predictions(predictions_path(store, model))
            tables.append(compute_results(frame, facts, leaked))
        table = pd.concat([part for part in tables if len(part)], ignore_index=True)
        write_results(store, table)
        return table
