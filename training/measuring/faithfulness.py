"""
Which explanation methods are worth trusting for a model, measured on real test images.

    python -m training.measuring.faithfulness --model gimefive --data DIR

Writes the rows of the model in `evaluation/results/faithfulness.csv` and `faithfulness_curves.csv` and the picture
`faithfulness_MODEL.png`. `--methods` measures some of the methods only and leaves the others' rows as they are.
"""

import argparse
import copy
import sys
import time
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch

from evaluation.analyses.faithfulness_curves import draw_curves
from evaluation.explanation_tables import merge_rows
from evaluation.faithfulness import (
    BASELINES,
    Estimate,
    auc,
    baseline_maps,
    blurred,
    curve_ends,
    curves,
    estimate,
    pointing_hits,
    proportion,
    randomised,
    rank_correlation,
)
from gimefive_hf.explain import METHODS, explain, reported_classes
from gimefive_hf.explain.regions import EXPRESSIVE_REGIONS, crop_landmarks, region_map

from ..corpora import Crops
from .images import LoadedModel, draw_test_images, load_model, model_script

BATCH = 50
# One draw of random weights may agree with a map by chance: the check takes several. Their seeds are far from those
# that people train with: a network's own initial weights, from which its training started, are no stranger to it.
SANITY_DRAWS = 3
STRANGER_SEED = 9_000_000
# A map that hardly changes when the weights are drawn anew cannot explain them (mean Spearman correlation).
SAME_MAP = 0.5
# Landmarks count only where the landmark network is this sure that it sees a face.
SURE_FACE = 0.5


@dataclass
class Measured:
    """What is measured of one method, image by image."""

    deletion: list[np.ndarray] = field(default_factory=list)  # curves (n, steps + 1)
    insertion: list[np.ndarray] = field(default_factory=list)
    hits: list[np.ndarray] = field(default_factory=list)  # bool (images with landmarks,)
    seconds: float = 0.0

    def gaps(self) -> np.ndarray:
        """Insertion minus deletion area of each image: the one number by which methods are ranked."""
        return auc(np.concatenate(self.insertion)) - auc(np.concatenate(self.deletion))


def measure(loaded: LoadedModel, images: Crops, methods: list[str], steps: int, bf16: bool) -> dict[str, Measured]:
    """
    Curves and pointing of each method and baseline.

    With `bf16` the many passes of the curves and of Score-CAM run in bfloat16, which takes half the time and rounds
    probabilities to two or three digits, alike for all maps; the other methods' maps are computed as everywhere.
    """
    model = loaded.model
    scorer = copy.deepcopy(model).to(memory_format=torch.channels_last)
    measured = {name: Measured() for name in (*methods, *BASELINES)}
    for start in range(0, len(images), BATCH):
        crops = np.ascontiguousarray(images.pixels[start : start + BATCH])
        pixel_values = loaded.pixel_values(crops)
        size = tuple(pixel_values.shape[-2:])
        targets = reported_classes(model, pixel_values)
        emotions = [model.config.id2label[target] for target in targets]
        found = [crop_landmarks(crop) for crop in crops]
        # Where a face is sure to be seen; a neutral one shows nothing in any region, so there is no place to point at.
        pairs = zip(found, emotions, strict=True)
        sure = np.array([presence >= SURE_FACE and emotion in EXPRESSIVE_REGIONS for (_, presence), emotion in pairs])
        scale = size[0] / crops.shape[1]
        regions = np.stack([region_map(points * scale, size) for points, _ in found])
        grey = luma(crops, size)
        blur = blurred(pixel_values)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            ends = curve_ends(scorer, pixel_values, targets, blur)
        for name, result in measured.items():
            began = time.perf_counter()
            if name in METHODS:
                # Score-CAM weighs channels by softmax over logits, which rounding hardly moves; occlusion and gradients
                # are small differences and need all digits.
                with torch.autocast("cpu", torch.bfloat16, enabled=bf16 and name == "score-cam"):
                    heat = explain(model, pixel_values, name, targets)
            else:
                heat = baseline_maps(name, grey, seed=start)
            result.seconds += time.perf_counter() - began
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                deletion, insertion = curves(scorer, pixel_values, targets, heat, steps, blur, ends)
            result.deletion.append(deletion)
            result.insertion.append(insertion)
            names = [emotion for emotion, kept in zip(emotions, sure, strict=True) if kept]
            result.hits.append(pointing_hits(heat[sure], regions[sure], names))
        print(f"{min(start + BATCH, len(images))} of {len(images)} images", file=sys.stderr, flush=True)
    return measured


def luma(crops: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 RGB (n, h, w, 3) → uint8 grey (n, H, W) of the network's size."""
    import cv2

    return np.stack([cv2.cvtColor(cv2.resize(crop, size[::-1]), cv2.COLOR_RGB2GRAY) for crop in crops])


def sanity(loaded: LoadedModel, images: Crops, methods: list[str], seed: int = 0) -> dict[str, dict[str, Estimate]]:
    """
    Rank correlation of each method's maps with those of the model after part of its weights were drawn anew, per image
    the mean over `SANITY_DRAWS` draws.
    """
    model = loaded.model
    pixel_values = loaded.pixel_values(images.pixels)
    targets = reported_classes(model, pixel_values)
    result: dict[str, dict[str, Estimate]] = {name: {} for name in methods}
    first = STRANGER_SEED + SANITY_DRAWS * seed
    for name in methods:
        heat = explain(model, pixel_values, name, targets)
        for part in ("classifier", "all"):
            strangers = (randomised(model, part, first + draw) for draw in range(SANITY_DRAWS))
            maps = (explain(stranger, pixel_values, name, targets) for stranger in strangers)
            draws = np.stack([rank_correlation(heat, other) for other in maps])
            with warnings.catch_warnings():  # an image whose maps are constant in every draw has no correlation
                warnings.simplefilter("ignore", RuntimeWarning)
                result[name][part] = estimate(np.nanmean(draws, axis=0))
    return result


def spread(prefix: str, e: Estimate) -> dict[str, float]:
    return {prefix: e.value, f"{prefix}_low": e.low, f"{prefix}_high": e.high}


def table(loaded: LoadedModel, measured: dict[str, Measured], checks: dict[str, dict[str, Estimate]]) -> pd.DataFrame:
    """One row per method and baseline, best first; see `verdict` for the last column."""
    gaps = {method: result.gaps() for method, result in measured.items()}
    strongest = max(BASELINES, key=lambda baseline: gaps[baseline].mean())
    rows = []
    for method, result in measured.items():
        n = len(gaps[method])
        hits = np.concatenate(result.hits)
        pointing = proportion(int(hits.sum()), len(hits))
        row: dict[str, Any] = {"model": loaded.name, "weights": loaded.weights, "method": method}
        row |= {"kind": "method" if method in METHODS else "baseline", "images": n}
        row |= spread("insertion", estimate(auc(np.concatenate(result.insertion))))
        row |= spread("deletion", estimate(auc(np.concatenate(result.deletion))))
        row |= spread("gap", estimate(gaps[method]))
        # Paired: the same images under both maps.
        row |= {"strongest_baseline": strongest} | spread("margin", estimate(gaps[method] - gaps[strongest]))
        row |= spread("pointing", pointing) | {"pointing_images": pointing.n}
        for part in ("classifier", "all"):
            check = checks.get(method, {}).get(part, Estimate(np.nan, np.nan, np.nan, 0))
            row |= spread(f"same_after_random_{part}", check)
            row["sanity_images"] = check.n
        row["milliseconds_per_image"] = 1000 * result.seconds / n
        row["verdict"] = verdict(row)
        rows.append(row)
    return pd.DataFrame(rows).sort_values("gap", ascending=False, kind="stable")


def verdict(row: dict) -> str:
    """One plain sentence on what the row means."""
    if row["kind"] == "baseline":
        return "knows nothing of the model"
    if not row["margin_low"] > 0:
        return f"not shown to be better than {row['strongest_baseline']}, which knows nothing of the model"
    changes = {part: row[f"same_after_random_{part}"] for part in ("classifier", "all")}
    if not changes["classifier"] < SAME_MAP:
        return "finds what the network uses, but not what speaks for this class: much the same for a random classifier"
    if not changes["all"] < SAME_MAP:
        return "much the same map for a network with random weights"
    return "worth trusting"


def curve_rows(loaded: LoadedModel, measured: dict[str, Measured]) -> pd.DataFrame:
    """Mean curves with intervals, long: model, weights, method, curve, fraction, probability, low, high, images."""
    rows = []
    for method, result in measured.items():
        for kind in ("deletion", "insertion"):
            values = np.concatenate(getattr(result, kind))
            for step in range(values.shape[1]):
                fraction, e = step / (values.shape[1] - 1), estimate(values[:, step])
                rows.append([loaded.name, loaded.weights, method, kind, fraction, e.value, e.low, e.high, e.n])
    columns = ["model", "weights", "method", "curve", "fraction", "probability", "low", "high", "images"]
    return pd.DataFrame(rows, columns=columns)


def run(args: argparse.Namespace) -> None:
    loaded = load_model(args.model, args.name)
    images = draw_test_images(args.data, args.corpora, args.images // len(args.corpora), loaded.side, args.seed)
    checked = draw_test_images(args.data, args.corpora, args.sanity_images // len(args.corpora), loaded.side, args.seed)
    methods = args.methods or suitable_methods(loaded.model, loaded.pixel_values(images.pixels[:1]))
    began = time.perf_counter()
    measured = measure(loaded, images, methods, args.steps, args.bf16)
    rows = table(loaded, measured, sanity(loaded, checked, methods, args.seed))
    key = ["model", "method"]
    rows = merge_rows(args.results / "faithfulness.csv", rows, key)
    lines = merge_rows(
        args.results / "faithfulness_curves.csv", curve_rows(loaded, measured), [*key, "curve", "fraction"]
    )
    draw_curves(lines[lines["model"] == loaded.name], args.results / f"faithfulness_{loaded.name}.png")
    rows = rows[rows["model"] == loaded.name].sort_values("gap", ascending=False)
    shown = ["method", "insertion", "deletion", "gap", "margin_low", "pointing", "milliseconds_per_image", "verdict"]
    print(rows[shown].to_string(index=False, float_format="%.3f"))
    print(f"{len(images)} images, {time.perf_counter() - began:.0f} s")


def suitable_methods(model, pixel_values: torch.Tensor) -> list[str]:
    """All methods but CAM where it would not be exact; says so."""
    from gimefive_hf.explain.cam import cam_obstacle, single_pass_features

    obstacle = cam_obstacle(model, single_pass_features(model, pixel_values))
    if obstacle:
        print(f"without cam: {obstacle}", file=sys.stderr)
    return [name for name in METHODS if name != "cam" or obstacle is None]


def main(argv: list[str] | None = None) -> int:
    parser = model_script("training.measuring.faithfulness", __doc__)
    parser.add_argument("--corpora", nargs="+", default=["raf-db", "fer2013"])
    parser.add_argument("--images", type=int, default=510, help="test images in all, evenly over corpora and classes")
    parser.add_argument("--sanity-images", type=int, default=30)
    parser.add_argument("--steps", type=int, default=8, help="portions in which pixels are deleted and inserted")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), help="default: all that suit the network")
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True, help="for the curves' passes")
    parser.add_argument("--seed", type=int, default=0)
    return parser.run(run, argv)


if __name__ == "__main__":
    sys.exit(main())
