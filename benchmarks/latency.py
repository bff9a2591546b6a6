"""
Milliseconds per face for each runtime and precision, the share of a core's matrix peak, and agreement with fp32.

One thread and processor time, which is the wall time on a free core and can be measured on a busy machine too.

    python -m benchmarks.latency --crops DIR

Where the crops lie in folders named by their expression, as in DIR/happiness/1.jpg, the accuracy is measured too.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from gimefive_hf import load_image
from gimefive_hf.recognizer import ExpressionRecognizer, from_pretrained
from gimefive_hf.runtimes.backends import FAST

from .measuring import (
    SHAPES,
    about_model,
    add_models,
    backends_and_views,
    matrix_peak,
    table,
    timed,
    views_of,
    write_results,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000, help="for agreement and accuracy")
    parser.add_argument("--runs", type=int, default=100, help="for the percentiles")
    add_models(parser)
    args = parser.parse_args()
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    recognizers = backends_and_views(args)
    paths = sorted(args.crops.rglob("*.jpg"))
    count = min(args.images, len(paths))
    paths = [paths[index * len(paths) // count] for index in range(count)]  # evenly over all
    crops = [load_image(path) for path in paths]
    reference = recognizers["torch fp32"]
    values = reference.predictor.prepare(crops)
    expected = logits_of(reference, values)
    gflop, fast_gflop = gflop_of(reference), gflop_of(from_pretrained(FAST["model"]))
    views = views_of(reference)
    labels = labels_of(paths, reference.emotions)
    peaks = {precision: matrix_peak(precision) for precision in ("fp32", "bf16", "int8")}
    rows = []
    for name, fer in recognizers.items():
        inputs = fer.predictor.prepare(crops) if "--fast" in name else values
        one, many = times(fer, inputs[:1], args.runs), times(fer, inputs[:32], max(5, args.runs // 10)) / 32
        logits = logits_of(fer, inputs)
        work = fast_gflop if "--fast" in name else gflop * (1 if "single" in name else views)
        peak = peaks[name.replace(",", "").split()[1]]
        agree = (logits.argmax(1) == expected.argmax(1)).mean()
        rows.append(
            [
                name,
                *(f"{np.percentile(one, q) * 1000:.1f}" for q in (50, 95)),
                *(f"{np.percentile(many, q) * 1000:.2f}" for q in (50, 95)),
                f"{work / many.min() / peak:.0%}",
                f"{np.abs(logits - expected).max():.1e}",
                f"{agree:.2%}",
                "–" if labels is None else f"{(logits.argmax(1) == labels).mean():.2%}",
            ]
        )
    header = ["", "one face p50, ms", "p95", "in batches of 32 p50, ms/face", "p95", "of the matrix peak"]
    header += ["largest difference of a logit", f"same winner as torch fp32, of {len(crops)}", "accuracy"]
    shapes = ", ".join("×".join(map(str, shape)) for shape in SHAPES)
    text = (
        f"The network of {about_model(args.model, reference)}: {gflop:.2f} GFLOP per view; "
        f'"single view" makes one pass; "--fast" is gimefive-fast, {fast_gflop:.2f} GFLOP. Without '
        "decoding and preprocessing. One thread, processor time. "
        f"Matrix peak of a core: the fastest product that torch or onnxruntime computed in this run, out of {shapes}: "
        f"fp32 {peaks['fp32']:.0f}, bf16 {peaks['bf16']:.0f}, int8 {peaks['int8']:.0f} billion operations a second; "
        f"the best batch is compared with the peak of its precision. Percentiles over {args.runs} runs of one face, "
        f"{max(5, args.runs // 10)} of a batch. Agreement and accuracy on {count} crops. Other work on the machine "
        "still disturbs through the shared caches."
    )
    print(write_results("latency", "Time per face", "python -m benchmarks.latency", [text, table(header, rows)]))


def gflop_of(fer: ExpressionRecognizer) -> float:
    """Of one view of a face."""
    side = fer.model.config.image_size
    with FlopCounterMode(display=False) as counter:
        fer.model.classify(torch.zeros(1, fer.model.config.num_channels, side, side))
    return counter.get_total_flops() / 1e9


def logits_of(fer: ExpressionRecognizer, values: np.ndarray) -> np.ndarray:
    return np.concatenate([fer.predictor.logits(values[start : start + 50]) for start in range(0, len(values), 50)])


def labels_of(paths: list[Path], emotions: tuple[str, ...]) -> np.ndarray | None:
    """Class indices (n,) from the folders' names; None if one of them names no expression."""
    if not all(path.parent.name in emotions for path in paths):
        return None
    return np.array([emotions.index(path.parent.name) for path in paths])


def times(fer: ExpressionRecognizer, values: np.ndarray, runs: int) -> np.ndarray:
    """Processor seconds of each of `runs` passes, after three for warming up."""
    for _ in range(3):
        fer.predictor.predict(values)
    return np.array([timed(lambda: fer.predictor.predict(values)).cpu for _ in range(runs)])


if __name__ == "__main__":
    main()
