"""Which runtime and precision runs the network: the options that the commands share, and the recogniser they give."""

import argparse
from typing import Any, cast

from .recognizer import ExpressionRecognizer

BACKENDS = ("torch", "onnx")
PRECISIONS = ("fp32", "bf16")


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """`--model`, `--backend` and `--precision`."""
    parser.add_argument(
        "--model",
        default="gimefive",
        help="bundled checkpoint, folder or Hub id; with --backend onnx a file of `gimefive export`",
    )
    parser.add_argument("--backend", choices=BACKENDS, default="torch", help="runtime (default: torch)")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32", help="of torch (default: fp32)")


def load_recognizer(args: argparse.Namespace, **options: Any) -> ExpressionRecognizer:
    """The recogniser for the options of `add_model_arguments`; `options` go to `ExpressionRecognizer`."""
    return make_recognizer(args.model, args.backend, args.precision, **options)


def make_recognizer(
    model: str = "gimefive", backend: str = "torch", precision: str = "fp32", **options: Any
) -> ExpressionRecognizer:
    """
    A recogniser on a runtime.

    Args:
        model: as for `ExpressionRecognizer.from_pretrained`; with `backend="onnx"` an .onnx file that
            `gimefive export` made, or a folder with a `model.onnx`.
        precision: "bf16" computes in bfloat16, with torch only; an ONNX file has its own precision.

    Raises:
        ValueError: for an unknown backend or precision, or if the file is not ours.
    """
    if backend not in BACKENDS or precision not in PRECISIONS:
        raise ValueError(
            f"backend must be one of {', '.join(BACKENDS)} and precision one of {', '.join(PRECISIONS)}; "
            f"got {backend!r} and {precision!r}"
        )
    if backend == "onnx":
        if precision != "fp32":
            raise ValueError("an ONNX file has its own precision: leave out --precision, and export with --int8")
        from .onnx_backend import OnnxClassifier

        network = OnnxClassifier(model)
        # it stands in for the torch model wherever scores are asked for
        options = {"margin": network.margin, **options}
        return ExpressionRecognizer(cast(Any, network), network.processor, **options)
    import torch

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    recognizer = ExpressionRecognizer.from_pretrained(model, dtype=dtype, **options)
    if precision == "bf16":
        recognizer.model.to(memory_format=torch.channels_last)
    return recognizer
