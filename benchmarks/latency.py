"""
Milliseconds per face for each runtime and precision, and agreement with fp32.

One thread and processor time, which is the wall time on a free core and can be measured on a busy machine too.

    python -m benchmarks.latency --crops DIR [--model gimefive] [--images 1000] [--runs 100]

Where the crops (.jpg) lie in folders named by their expression, as in DIR/happiness/1.jpg, accuracy is measured too.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from gimefive_hf import load_image
from gimefive_hf.recognizer import ExpressionRecognizer, from_pretrained
from gimefive_hf.runtimes.backends import FAST

from .measuring import about_model, backends_and_views, options, table, timed, write_results


def main() -> None:
    args = options(__doc__, crops=Path, model="gimefive", images=1000, runs=100)
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    place = tempfile.TemporaryDirectory()
    recognizers = backends_and_views(args.model, args.crops, Path(place.name))
    paths = sorted(args.crops.rglob("*.jpg"))
    count = min(args.images, len(paths))
    paths = [paths[index * len(paths) // count] for index in range(count)]  # evenly over all
    crops = [load_image(path) for path in paths]
    reference = recognizers["torch fp32"]
    expected = logits_of(reference, reference.predictor.prepare(crops))
    labels = labels_of(paths, reference.emotions)
    batches = max(5, args.runs // 10)
    rows = []
    for name, fer in recognizers.items():
        inputs = fer.predictor.prepare(crops)
        one, many = times(fer, inputs[:1], args.runs), times(fer, inputs[:32], batches) / 32
        logits = logits_of(fer, inputs)
        rows.append(
            [
                name,
                *(f"{np.percentile(one, q) * 1000:.1f}" for q in (50, 95)),
                *(f"{np.percentile(many, q) * 1000:.2f}" for q in (50, 95)),
                f"{np.abs(logits - expected).max():.1e}",
                f"{(logits.argmax(1) == expected.argmax(1)).mean():.2%}",
                "–" if labels is None else f"{(logits.argmax(1) == labels).mean():.2%}",
            ]
        )
    header = ["", "one face p50, ms", "p95", "in batches of 32 p50, ms/face", "p95", "largest difference of a logit"]
    header += [f"same winner as torch fp32, of {len(crops)}", "accuracy"]
    text = (
        f"The network of {about_model(args.model, reference)}: {gflop_of(reference):.2f} GFLOP per view; "
        f'"single view" makes one pass; "--fast" is gimefive-fast, {gflop_of(from_pretrained(FAST["model"])):.2f} '
        "GFLOP. Without decoding and preprocessing. One thread, processor time. "
        f"Percentiles over {args.runs} runs of one face, {batches} of a batch. Agreement and accuracy on {count} "
        "crops. Other work on the machine still disturbs through the shared caches."
    )
    write_results(__spec__, "Time per face", text, table(header, rows))


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
