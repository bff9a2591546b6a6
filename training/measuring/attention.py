"""
Where a model looks on average: the mean aligned heat map of each emotion and corpus, and the face regions it lies on.

    python -m training.measuring.attention --model gimefive --data DIR
    python -m training.measuring.attention --compare gimefive gimefive-paper   # two measured before, and the difference

Writes to `evaluation/results/`: `attention_MODEL.npz` (average maps), the model's rows of `attention.csv` (shares of
the regions), `attention_MODEL.png`; for a comparison `attention_A_vs_B.png`.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from evaluation.explanation_tables import merge_rows
from evaluation.faithfulness import estimate
from gimefive_hf.drawing.explanations import draw_average_maps, save_picture
from gimefive_hf.emotions import EMOTIONS
from gimefive_hf.explain import METHODS, explain
from gimefive_hf.explain.regions import REGIONS, crop_landmarks, looks_at_background, region_map, region_shares
from gimefive_hf.faces.landmarks import LANDMARK_GROUPS

from ..corpora import Crops
from .images import LoadedModel, draw_test_images, load_model, model_script

BATCH = 64
SIDE = 56  # of the average maps, in pixels
SURE_FACE = 0.5
# Where right eye, left eye and mouth are put before maps are averaged, in shares of the side.
CANONICAL = np.array([[0.31, 0.40], [0.69, 0.40], [0.50, 0.79]], np.float32)


@dataclass
class AverageAttention:
    """
    `maps` float32 (corpora, 6, SIDE, SIDE) in [0, 1], NaN without images; `counts` int64 (corpora, 6), images behind
    each map; `without_face`, images left out because no landmarks were found; `landmarks` float32 (68, 2), the mean
    face in pixels of the maps.
    """

    corpora: list[str]
    maps: np.ndarray
    counts: np.ndarray
    without_face: np.ndarray
    landmarks: np.ndarray


def alignment(points: np.ndarray, side: int) -> np.ndarray:
    """
    The rotation, scale and shift (2, 3) that bring eyes and mouth of landmarks (68, 2) closest to `CANONICAL` on an
    image of `side` pixels (least squares).
    """
    groups = ("right eye", "left eye", "mouth")
    found = np.stack([points[LANDMARK_GROUPS[name]].mean(0) for name in groups])
    wanted = CANONICAL * side
    x, y = found.T
    zero, one = np.zeros(3), np.ones(3)
    equations = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, dx, dy = np.linalg.lstsq(equations, wanted.T.reshape(-1), rcond=None)[0]
    return np.array([[a, -b, dx], [b, a, dy]])


def measure(loaded: LoadedModel, images: Crops, method: str) -> tuple[AverageAttention, pd.DataFrame]:
    """Average maps of each image's labelled emotion, and one row of region shares per image with landmarks."""
    corpora = list(dict.fromkeys(images.corpora))
    shape = (len(corpora), len(EMOTIONS))
    sums, counts, without = np.zeros((*shape, SIDE, SIDE)), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    face, rows = np.zeros((68, 2)), []
    for start in range(0, len(images), BATCH):
        part = slice(start, start + BATCH)
        crops, labels = np.ascontiguousarray(images.pixels[part]), images.labels[part].tolist()
        targets = [EMOTIONS[label] for label in labels]
        heat = explain(loaded.model, loaded.pixel_values(crops), method, targets)
        for map_, crop, label, corpus in zip(heat, crops, labels, images.corpora[part], strict=True):
            place = corpora.index(corpus), label
            points, presence = crop_landmarks(crop)
            if presence < SURE_FACE:
                without[place] += 1
                continue
            regions = region_map(points, map_.shape)
            shares = region_shares(np.stack([map_, np.ones_like(map_)]), np.stack([regions, regions]))
            rows.append([corpus, EMOTIONS[label], *shares.ravel()])
            matrix = alignment(points, map_.shape[0])
            face += points @ matrix[:, :2].T + matrix[:, 2]
            aligned = cv2.warpAffine(map_, matrix, map_.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
            sums[place] += cv2.resize(aligned, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            counts[place] += 1
    maps = np.divide(sums, counts[..., None, None], out=np.full_like(sums, np.nan), where=counts[..., None, None] > 0)
    landmarks = face / max(1, counts.sum()) * SIDE / images.images.shape[-1]
    columns = ["corpus", "emotion", *REGIONS, *(f"area {region}" for region in REGIONS)]
    average = AverageAttention(corpora, maps.astype(np.float32), counts, without, landmarks.astype(np.float32))
    return average, pd.DataFrame(rows, columns=columns)


def summarise(loaded: LoadedModel, method: str, average: AverageAttention, shares: pd.DataFrame) -> pd.DataFrame:
    """Mean share of each region with its interval, per corpus and emotion, over all of each ("all"), and flags."""
    rows = []
    for corpus in (*average.corpora, "all"):
        for emotion in (*EMOTIONS, "all"):
            part = shares[shares["corpus"].isin([corpus]) | (corpus == "all")]
            part = part[part["emotion"].isin([emotion]) | (emotion == "all")]
            heat, areas = part[list(REGIONS)].to_numpy(), part[[f"area {r}" for r in REGIONS]].to_numpy()
            if not np.isfinite(heat).any():
                continue
            flagged = looks_at_background(heat, areas)
            where = np.ix_(
                [corpus in (name, "all") for name in average.corpora], [emotion in (name, "all") for name in EMOTIONS]
            )
            for index, region in enumerate(REGIONS):
                e = estimate(heat[:, index])
                row: dict[str, Any] = {"model": loaded.name, "weights": loaded.weights, "corpus": corpus}
                row |= {"emotion": emotion, "method": method, "region": region}
                row |= {"share": e.value, "share_low": e.low, "share_high": e.high}
                row |= {"area": float(areas[:, index].mean()), "images": e.n}
                row |= {"without_heat": len(part) - e.n, "without_face": int(average.without_face[where].sum())}
                rows.append(row | {"looks_at_background": flagged})
    return pd.DataFrame(rows)


def load_average(path: Path) -> AverageAttention:
    """Raises ValueError if it is missing."""
    if not path.is_file():
        raise ValueError(f"no {path.name}: measure that model first, python -m training.measuring.attention --model …")
    with np.load(path, allow_pickle=False) as stored:
        names = ("maps", "counts", "without_face", "landmarks")
        return AverageAttention(stored["corpora"].tolist(), *(stored[name] for name in names))


def compare(results: Path, first: str, second: str) -> Path:
    """Draw two models' maps, averaged over the corpora that both have, and their difference; gives the path."""
    a, b = (load_average(results / f"attention_{name}.npz") for name in (first, second))
    shared = [corpus for corpus in a.corpora if corpus in b.corpora]
    if not shared:
        raise ValueError(f"{first} and {second} were measured on different corpora: {a.corpora}, {b.corpora}")
    means, counts = [], []
    for average in (a, b):
        rows = [average.corpora.index(corpus) for corpus in shared]
        n = average.counts[rows]
        weighted = np.nansum(average.maps[rows] * n[..., None, None], axis=0)
        means.append(weighted / np.maximum(n.sum(0), 1)[:, None, None])
        counts.append(n.sum(0))
    maps = np.stack([*means, means[0] - means[1]])
    names = [first, second, f"{first} - {second}"]
    title = f"Average heat maps on {', '.join(shared)}; red: more for {first}"
    path = results / f"attention_{first}_vs_{second}.png"
    counts.append(np.minimum(*counts))
    save_picture(draw_average_maps(maps, names, EMOTIONS, np.stack(counts), title, a.landmarks), path)
    return path


def run(args: argparse.Namespace) -> None:
    if args.compare:
        print(compare(args.results, *args.compare).name)
        return
    loaded = load_model(args.model, args.name)
    images = draw_test_images(args.data, args.corpora, args.images, loaded.side, args.seed)
    average, shares = measure(loaded, images, args.method)
    rows = summarise(loaded, args.method, average, shares)
    merge_rows(args.results / "attention.csv", rows, ["model", "corpus", "emotion", "method", "region"])
    arrays = vars(average) | {"emotions": np.array(EMOTIONS)}
    np.savez_compressed(args.results / f"attention_{loaded.name}.npz", **arrays)
    title = f"{loaded.name}: average {args.method} of the label"
    picture = draw_average_maps(average.maps, average.corpora, EMOTIONS, average.counts, title, average.landmarks)
    save_picture(picture, args.results / f"attention_{loaded.name}.png")
    overall = rows[rows["corpus"] == "all"].pivot(index="emotion", columns="region", values="share")
    print(overall.reindex(index=[*EMOTIONS, "all"], columns=list(REGIONS)).to_string(float_format="%.2f"))
    flagged = rows[rows["looks_at_background"] & (rows["region"] == "background")]
    for row in flagged.itertuples():
        print(f"looks at the background: {row.corpus}, {row.emotion} ({row.share:.0%} of {row.area:.0%} area)")
    print(f"{int(average.counts.sum())} images, {int(average.without_face.sum())} more without landmarks")


def main(argv: list[str] | None = None) -> int:
    parser = model_script("training.measuring.attention", __doc__)
    parser.add_argument("--corpora", nargs="+", default=["raf-db", "fer2013", "affectnet", "ck48"])
    parser.add_argument("--images", type=int, default=600, help="test images of each corpus, evenly over the emotions")
    parser.add_argument("--method", default="grad-cam", choices=list(METHODS))
    parser.add_argument("--compare", nargs=2, metavar="MODEL", help="draw two models that were measured before")
    parser.add_argument("--seed", type=int, default=0)
    return parser.run(run, argv)


if __name__ == "__main__":
    sys.exit(main())
