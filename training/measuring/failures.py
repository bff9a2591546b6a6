"""
Where a model fails, with the explanations: its most confident mistakes, its near ties, and likely label errors.

    python -m training.measuring.failures --model gimefive --data DIR

Takes the aligned test predictions from the store (`training.measuring.evaluate` makes them) and the images from the
corpora. Writes the model's rows of `evaluation/results/failures.csv` and `failures_MODEL.npz`, whose `maps` uint8
(rows, 2, 28, 28) are the heat maps of the predicted class and of the label, in the order of the rows' `map`. No image.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from evaluation.explanation_tables import merge_rows
from evaluation.rows import class_scores
from evaluation.store import predictions_path, read_predictions
from gimefive_hf.emotions import EMOTIONS
from gimefive_hf.explain import METHODS, explain
from gimefive_hf.explain.face import describe_heat
from gimefive_hf.explain.regions import REGIONS

from ..corpora import VOTES, load_corpus, to_tensors
from .images import LoadedModel, load_model, model_script

KINDS = ("confident mistake", "near tie", "likely label error")
SIDE = 28  # of the stored maps
BATCH = 64


def choose_failures(
    probabilities: np.ndarray, labels: np.ndarray, votes: np.ndarray, each: int
) -> list[tuple[str, int, str]]:
    """
    The images of each of `KINDS`, at most `each`, the clearest first.

    A label is likely wrong if the model disagrees with it and either most of FER+'s ten annotators do too and name the
    model's answer (Barsoum et al. 2016), or, where nobody voted, the model is surer of its answer than it is on average
    for images of that class (confident learning, Northcutt et al. 2021, arXiv 1911.00068).

    Args:
        probabilities: (n, 6).
        labels: int (n,).
        votes: float (n, 10), counts in the order of VOTES, NaN where nobody voted.
        each: images of each kind.

    Returns:
        (kind, index of the image, evidence in words); an image may be of several kinds.
    """
    n, rows = len(labels), np.arange(len(labels))
    answers, top = probabilities.argmax(1), probabilities.max(1)
    wrong = answers != labels
    second = np.sort(probabilities, axis=1)[:, -2]
    result = []
    for index in np.lexsort((-top, ~wrong))[: min(each, wrong.sum())]:
        result.append((KINDS[0], int(index), f"{top[index]:.0%} sure"))
    for index in np.argsort(top - second, kind="stable")[: min(each, n)]:
        rival = EMOTIONS[np.argsort(probabilities[index])[-2]]
        result.append((KINDS[1], int(index), f"{top[index]:.0%} against {second[index]:.0%} for {rival}"))
    total = votes.sum(1)
    voted = np.isfinite(total) & (total > 0)
    share = np.divide(votes[rows, answers], total, out=np.zeros(n), where=voted)
    usual = np.array([probabilities[labels == c, c].mean() if (labels == c).any() else np.inf for c in range(6)])
    by_votes, by_model = wrong & voted & (share > 0.5), wrong & ~voted & (top >= usual[answers])
    # Votes are the better witness: they come first, then the model's own doubt in the label.
    order = np.lexsort((probabilities[rows, labels], -share, ~by_votes))
    for index in [i for i in order if by_votes[i] or by_model[i]][:each]:
        evidence = f"the model is {top[index]:.0%} sure of {EMOTIONS[answers[index]]}"
        if by_votes[index]:
            agreeing = int(votes[index, answers[index]])
            evidence = f"{agreeing} of {int(total[index])} annotators see {EMOTIONS[answers[index]]}"
        result.append((KINDS[2], int(index), evidence))
    return result


def read_test_predictions(store: Path, model: str, corpora: Sequence[str]) -> pd.DataFrame:
    """Aligned test predictions of six-class images. Raises ValueError, saying what to run, if there are none."""
    path = predictions_path(store, model)
    if not path.is_file():
        raise ValueError(
            f"no predictions of {model!r}: run python -m training.measuring.evaluate --model {model} --data DIR"
        )
    _, frame = read_predictions(path)
    kept = (frame["protocol"] == "aligned") & (frame["split"] == "test") & frame["label"].isin(EMOTIONS)
    frame = frame[kept & frame["corpus"].isin(list(corpora))].reset_index(drop=True)
    if frame.empty:
        raise ValueError(
            f"no aligned test predictions of {model!r} on {', '.join(corpora)}: run training.measuring.evaluate"
        )
    return frame


def read_votes(data: Path, corpus: str, sources: Sequence[str]) -> np.ndarray:
    """FER+ counts (n, 10) of images in the order of `sources`; NaN where nobody voted or the image is not there."""
    dataset = load_corpus(corpus, data)["test"]
    table = dict(zip(dataset["source"][:], dataset["votes"][:], strict=True))
    missing = [float("nan")] * len(VOTES)
    return np.array([table.get(source) or missing for source in sources], dtype=np.float64)


def read_crops(data: Path, corpus: str, sources: Sequence[str], side: int) -> np.ndarray:
    """uint8 RGB (n, side, side, 3) in the order of `sources`. Raises ValueError if the corpus lacks one."""
    dataset = load_corpus(corpus, data)["test"]
    place = {source: index for index, source in enumerate(dataset["source"][:])}
    absent = [source for source in sources if source not in place]
    if absent:
        raise ValueError(f"{corpus} here lacks {len(absent)} of the predicted images, such as {absent[0]}")
    return np.ascontiguousarray(to_tensors(dataset.select([place[source] for source in sources]), side).pixels)


def explain_rows(loaded: LoadedModel, data: Path, rows: pd.DataFrame, method: str) -> tuple[np.ndarray, pd.DataFrame]:
    """Maps uint8 (n, 2, SIDE, SIDE) of predicted class and label, and `rows` with region shares and a sentence."""
    crops = np.empty((len(rows), loaded.side, loaded.side, 3), np.uint8)
    for corpus, part in rows.groupby("corpus"):
        crops[part.index] = read_crops(data, corpus, part["source"].tolist(), loaded.side)
    maps, texts, shares = [], [], []
    for start in range(0, len(rows), BATCH):
        part = rows.iloc[start : start + BATCH]
        pixel_values = loaded.pixel_values(crops[start : start + BATCH])
        heat = [explain(loaded.model, pixel_values, method, part[name].tolist()) for name in ("predicted", "label")]
        for index, row in enumerate(part.itertuples()):
            maps.append([cv2.resize(kind[index], (SIDE, SIDE), interpolation=cv2.INTER_AREA) for kind in heat])
            crop, map_ = crops[start + index], heat[0][index]
            said = describe_heat(crop, row.predicted, row.probability, map_)
            shares.append(list(said.shares.values()))
            texts.append(said.sentence)
    rows = rows.assign(reason=texts, map=np.arange(len(rows)))
    rows[list(REGIONS)] = np.array(shares).reshape(-1, len(REGIONS))
    return np.round(255 * np.array(maps).reshape(-1, 2, SIDE, SIDE)).astype(np.uint8), rows


def find_failures(loaded: LoadedModel, data: Path, store: Path, corpora: Sequence[str], each: int) -> pd.DataFrame:
    """One row per failure; `each` of each kind and corpus."""
    frame = read_test_predictions(store, loaded.name, corpora)
    rows = []
    for corpus, part in frame.groupby("corpus", sort=False):
        probabilities, labels = class_scores(part, 6)
        votes = read_votes(data, corpus, part["source"].tolist())
        for kind, index, evidence in choose_failures(probabilities, labels, votes, each):
            p = probabilities[index]
            row = {"model": loaded.name, "weights": loaded.weights, "kind": kind, "corpus": corpus, "split": "test"}
            row |= {"source": part["source"].iloc[index], "label": EMOTIONS[labels[index]]}
            row |= {"predicted": EMOTIONS[p.argmax()], "probability": p.max(), "label_probability": p[labels[index]]}
            rows.append(row | {"margin": p.max() - np.sort(p)[-2], "evidence": evidence, "images": len(part)})
    return pd.DataFrame(rows)


def run(args: argparse.Namespace) -> None:
    loaded = load_model(args.model, args.name)
    rows = find_failures(loaded, args.data, args.results, args.corpora, args.each)
    maps, rows = explain_rows(loaded, args.data, rows, args.method)
    np.savez_compressed(args.results / f"failures_{loaded.name}.npz", maps=maps)
    merge_rows(args.results / "failures.csv", rows, ["model", "kind", "corpus", "source"])
    print(rows.groupby(["kind", "corpus"]).size().to_string())


def main(argv: list[str] | None = None) -> int:
    parser = model_script("training.measuring.failures", __doc__)
    parser.add_argument("--corpora", nargs="+", default=["raf-db", "fer2013", "affectnet"])
    parser.add_argument("--each", type=int, default=24, help="images of each kind and corpus")
    parser.add_argument("--method", default="grad-cam", choices=list(METHODS))
    return parser.run(run, argv)


if __name__ == "__main__":
    sys.exit(main())
