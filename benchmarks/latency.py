"""
Milliseconds per face for each runtime and precision, the share of a core's matrix peak, and agreement with fp32.

One thread and processor time, which is the wall time on a free core and can be measured on a busy machine too.

    python -m benchmarks.latency --crops DIR [--model gimefive] [--onnx model.onnx] [--int8 model-int8.onnx]
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from gimefive_hf import load_image

from .measuring import backends, matrix_peak, table, timed, write_results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crops", type=Path, required=True, help="folder with aligned crops (.jpg)")
    parser.add_argument("--images", type=int, default=400, help="for the agreement")
    parser.add_argument("--runs", type=int, default=100, help="for the percentiles")
    parser.add_argument("--model", default="gimefive")
    parser.add_argument("--onnx", type=Path)
    parser.add_argument("--int8", type=Path)
    args = parser.parse_args()
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    recognizers = backends(args.model, args.onnx, args.int8)
    paths = sorted(args.crops.rglob("*.jpg"))
    crops = [load_image(path) for path in paths[:: max(1, len(paths) // args.images)][: args.images]]
    reference = recognizers["torch fp32"]
    values = reference.pixel_values(crops)
    expected = logits_of(reference, values)
    with FlopCounterMode(display=False) as counter:
        reference.model(values[:1])
    gflop = counter.get_total_flops() / 1e9
    peaks = {precision: matrix_peak(precision) for precision in ("fp32", "bf16", "int8")}
    rows = []
    for name, fer in recognizers.items():
        inputs = values.to(fer.model.dtype)
        one, many = times(fer, inputs[:1], args.runs), times(fer, inputs[:32], max(5, args.runs // 10)) / 32
        logits = logits_of(fer, inputs)
        peak = peaks[name.split()[1]]
        agree = (logits.argmax(1) == expected.argmax(1)).float().mean()
        rows.append(
            [
                name,
                *(f"{np.percentile(one, q) * 1000:.1f}" for q in (50, 95)),
                *(f"{np.percentile(many, q) * 1000:.2f}" for q in (50, 95)),
                f"{gflop / many.min() / peak:.0%}",
                f"{(logits - expected).abs().max():.1e}",
                f"{agree:.2%}",
            ]
        )
    header = ["", "one face p50, ms", "p95", "in batches of 32 p50, ms/face", "p95", "of the matrix peak"]
    header += ["largest difference of a logit", f"same winner as torch fp32, of {len(crops)}"]
    text = (
        f"The network of `{Path(args.model).name}`, {gflop:.2f} GFLOP per face, without decoding and preprocessing. "
        "One thread, processor time. Matrix peak of a core, measured in the same run by products of 1024×1024 in torch "
        f"and onnxruntime: fp32 {peaks['fp32']:.0f}, bf16 {peaks['bf16']:.0f}, int8 {peaks['int8']:.0f} billion "
        "operations a second; the best batch is compared with the peak of its precision. Percentiles over "
        f"{args.runs} runs of one face and {max(5, args.runs // 10)} of a batch. Other work on the machine still "
        "disturbs through the shared caches."
    )
    print(write_results("latency", "Time per face", "python -m benchmarks.latency", [text, table(header, rows)]))


def logits_of(fer, values: torch.Tensor) -> torch.Tensor:
    return torch.cat([fer.model(part).logits.float() for part in values.split(50)])


def times(fer, values: torch.Tensor, runs: int) -> np.ndarray:
    """Processor seconds of each of `runs` passes, after three for warming up."""
    for _ in range(3):
        fer.model(values)
    return np.array([timed(lambda: fer.model(values)).cpu for _ in range(runs)])


if __name__ == "__main__":
    main()
