"""
What each explanation method costs, in forward passes: on the flagship's network and on the paper's, random images.

    python -m benchmarks.explanations [--model gimefive]
"""

from functools import partial
from pathlib import Path

import torch

from gimefive_hf import GiMeFiveConfig, GiMeFiveForImageClassification
from gimefive_hf.explain import METHODS, explain
from gimefive_hf.explain.cam import cam_obstacle, single_pass_features
from gimefive_hf.explain.gradcam import run_package

from .measuring import interleaved, medians, options, table, timed, write_results

SLOW = ("score-cam", "occlusion", "integrated-gradients")
SLOW_BATCH = 4


def rows_for(model: GiMeFiveForImageClassification, x: torch.Tensor, repeats: int) -> list[list[object]]:
    """One row per method: milliseconds per image and the multiple of the forward pass, wall and processor time."""
    exact = cam_obstacle(model, single_pass_features(model, x[:1])) is None
    counts = {name: SLOW_BATCH if name in SLOW else len(x) for name in METHODS if name != "cam" or exact}
    works = {"forward": torch.no_grad()(partial(model.classify, x))}
    works |= {name: partial(explain, model, x[:count], name, 0) for name, count in counts.items()}
    if exact:  # Grad-CAM by the package too, where the library needs no backward pass
        works["grad-cam by grad-cam"] = partial(run_package, "GradCAM", model, x, [0] * len(x))
    times, rows = interleaved(works, repeats), []
    base = medians(times["forward"], len(x))
    for name, timings in times.items():
        count = counts.get(name, len(x))
        wall, cpu = medians(timings, count)
        rows.append([name, count, *(f"{value:.1f}" for value in (wall, cpu, wall / base[0], cpu / base[1]))])
    return rows


def main() -> None:
    args = options(__doc__, model="gimefive", batch=32, repeats=5)
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
    write_results(__spec__, "Cost of the explanations", text, *paragraphs)


if __name__ == "__main__":
    main()
