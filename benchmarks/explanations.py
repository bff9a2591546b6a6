"""
What each explanation method costs, in forward passes: on the flagship's network and on the paper's, random images.

    python -m benchmarks.explanations [--model gimefive]
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from gimefive_hf import GiMeFiveConfig, GiMeFiveForImageClassification
from gimefive_hf.explain import METHODS, explain
from gimefive_hf.explain.cam import cam_obstacle, single_pass_features
from gimefive_hf.explain.gradcam import run_package

from .measuring import Timing, interleaved, table, timed, write_results

SLOW = ("score-cam", "occlusion", "integrated-gradients")
SLOW_BATCH = 4


def methods_for(model: GiMeFiveForImageClassification, x: torch.Tensor) -> dict[str, object]:
    """Name → function of a batch; Grad-CAM by the package too, where the library needs no backward pass."""
    exact = cam_obstacle(model, single_pass_features(model, x[:1])) is None
    works = {name: lambda x, name=name: explain(model, x, name, 0) for name in METHODS if name != "cam" or exact}
    if exact:
        works["grad-cam by grad-cam"] = lambda x: run_package("GradCAM", model, x, [0] * len(x))
    return works


def rows_for(model: GiMeFiveForImageClassification, x: torch.Tensor, repeats: int) -> list[list[str]]:
    """One row per method: milliseconds per image and the multiple of the forward pass, wall and processor time."""
    works = methods_for(model, x)

    @torch.no_grad()
    def forward() -> None:
        model.classify(x)

    def run(name):
        part = x[:SLOW_BATCH] if name in SLOW else x
        return lambda: works[name](part)

    times = interleaved({"forward": forward} | {name: run(name) for name in works}, repeats)
    base = per_image(times["forward"], len(x))
    rows = []
    for name, timings in times.items():
        n = SLOW_BATCH if name in SLOW else len(x)
        wall, cpu = per_image(timings, n)
        rows.append([name, n, f"{wall:.1f}", f"{cpu:.1f}", f"{wall / base[0]:.1f}", f"{cpu / base[1]:.1f}"])
    return rows


def per_image(timings: list[Timing], n: int) -> tuple[float, float]:
    """Median milliseconds per image, wall and processor."""
    wall, cpu = (1000 * float(np.median([getattr(t, kind) for t in timings])) / n for kind in ("wall", "cpu"))
    return wall, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="gimefive", help='"gimefive" or the folder of a checkpoint')
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.manual_seed(0)
    flagship = GiMeFiveForImageClassification.from_pretrained(args.model).eval()
    paper = GiMeFiveForImageClassification(GiMeFiveConfig()).eval()
    header = ["", "images", "ms per image", "processor ms per image", "× forward", "× forward, processor"]
    paragraphs = []
    for name, model in ((f"`{Path(args.model).name}`", flagship), ("The paper's network", paper)):
        size = model.config.image_size
        rows = rows_for(model, torch.randn(args.batch, 3, size, size), args.repeats)
        paragraphs.append(f"## {name}, {size}×{size}\n\n{table(header, rows)}")
    one = torch.randn(1, 3, 64, 64)
    explain(paper, one, "occlusion", 0)
    single = timed(lambda: explain(paper, one, "occlusion", 0))
    paragraphs.append(
        f"Occlusion of one 64×64 image by the paper's network, defaults (patch 16, stride 8): {single.wall:.2f} s, "
        f"{single.cpu:.2f} s of processor."
    )
    text = f'Medians of {args.repeats} runs, all methods in turn; "forward" is one pass without gradients.'
    path = write_results(
        "explanations", "Cost of the explanations", "python -m benchmarks.explanations", [text, *paragraphs]
    )
    print(path.read_text())


if __name__ == "__main__":
    main()
