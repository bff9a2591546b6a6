"""Which runtime and precision runs the network: the options that the commands share, and the recogniser they give."""

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:  # the command line's help needs the options alone, not torch
    from ..recognizer import ExpressionRecognizer

BACKENDS = ("torch", "onnx")
PRECISIONS = ("auto", "fp32", "bf16")
# Options of `make_recognizer` for the small int8 network that `--fast` stands for.
FAST: dict[str, Any] = {"model": "gimefive-fast", "backend": "onnx"}
FAST_BATCH_SIZE = 64  # of `score --fast`: smaller batches spend a noticeable part of the time between two
# Options of `make_recognizer` for one pass per face, whatever views the model's config averages over.
SINGLE_VIEW: dict[str, Any] = {"flip_average": False, "zoom_average": []}


def add_model_arguments(parser: argparse.ArgumentParser, precision: str = "fp32") -> None:
    """`--model`, `--backend` and `--precision`, which is `precision` by default."""
    parser.add_argument(
        "--model",
        default="gimefive",
        help="bundled checkpoint, folder or Hub id; with --backend onnx a file of `gimefive export`",
    )
    parser.add_argument("--backend", choices=BACKENDS, default="torch", help="runtime (default: torch)")
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=precision,
        help=f"of torch; auto: bf16 where the processor computes in it (default: {precision})",
    )


def load_recognizer(args: argparse.Namespace, **options: Any) -> "ExpressionRecognizer":
    """The recogniser for the options of `add_model_arguments`; `options` go to `ExpressionRecognizer`."""
    return make_recognizer(args.model, args.backend, args.precision, **options)


def make_recognizer(
    model: str = "gimefive",
    backend: str = "torch",
    precision: str = "fp32",
    threads: int | None = None,
    **options: Any,
) -> "ExpressionRecognizer":
    """
    A recogniser on a runtime.

    Args:
        model: as for `ExpressionRecognizer.from_pretrained`; with `backend="onnx"` an .onnx file that
            `gimefive export` made, or a folder with a `model.onnx`.
        precision: "bf16" computes in bfloat16, with torch only; an ONNX file has its own precision. "auto" is bf16
            where the processor has instructions for it, which is more than twice as fast there, and else fp32.
        threads: of onnxruntime; None for as many as torch uses.

    Raises:
        ValueError: for an unknown backend or precision, or if the file is not ours.
    """
    if backend not in BACKENDS or precision not in PRECISIONS:
        raise ValueError(
            f"backend must be one of {', '.join(BACKENDS)} and precision one of {', '.join(PRECISIONS)}; "
            f"got {backend!r} and {precision!r}"
        )
    from ..recognizer import ExpressionRecognizer

    if backend == "onnx":
        if precision == "bf16":
            raise ValueError("an ONNX file has its own precision: leave out --precision, and export with --int8")
        from .onnx_classifier import OnnxClassifier

        network = OnnxClassifier(model, threads)
        # it stands in for the torch model wherever scores are asked for
        options = {"margin": network.margin, **options}
        return ExpressionRecognizer(cast(Any, network), network.processor, **options)
    import torch

    precision = choose_precision(precision)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    recognizer = ExpressionRecognizer.from_pretrained(model, dtype=dtype, **options)
    if precision == "bf16":
        recognizer.model.to(memory_format=torch.channels_last)
    return recognizer


def choose_precision(precision: str) -> str:
    """What "auto" stands for on this machine; another precision as it is."""
    if precision != "auto":
        return precision
    return "bf16" if has_bf16() else "fp32"


def has_bf16() -> bool:
    """Whether the processor multiplies matrices in bfloat16; where it does not, torch emulates it slowly."""
    import torch

    abilities: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # torch before 2.10 lacks it
    return any(abilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
