"""Which runtime and precision runs the network: the choice, and the options by which the commands ask for it."""

import argparse
from functools import lru_cache
from pathlib import Path
from typing import Any

from .onnx_predictor import OnnxPredictor, onnx_file
from .predictor import Predictor

BACKENDS = ("auto", "torch", "onnx")
PRECISIONS = ("auto", "fp32", "bf16")
# Options of `load_predictor` for the small int8 network that `--fast` stands for.
FAST: dict[str, Any] = {"model": "gimefive-fast", "backend": "onnx"}
FAST_BATCH_SIZE = 64  # of `score --fast`: smaller batches spend a noticeable part of the time between two
# Values of a model's config for one pass per face.
ONE_VIEW: dict[str, Any] = {"flip_average": False, "zoom_average": []}


def add_model_arguments(parser: argparse.ArgumentParser, precision: str = "fp32") -> None:
    """`--model`, `--fast`, `--backend` and `--precision`, which is `precision` by default."""
    parser.add_argument(
        "--model",
        default="gimefive",
        help="bundled checkpoint, folder, Hub id, or a file of `gimefive export` (default: gimefive)",
    )
    parser.add_argument(
        "--fast",
        action="store_true",
        help="the network gimefive-fast in int8 on onnxruntime: a little less accurate (its card has the figures)",
    )
    parser.add_argument(
        "--backend",
        choices=BACKENDS,
        default="auto",
        help="runtime; auto: onnxruntime, which starts much faster, where the model has a file for it that gives what "
        "is asked for, and else torch (default: auto)",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=precision,
        help=f"of torch; auto: bf16 where the processor computes in it (default: {precision})",
    )


def model_options(args: argparse.Namespace) -> dict[str, Any]:
    """
    The arguments of `load_predictor` for the options of `add_model_arguments`.

    Raises:
        ValueError: for options that contradict each other.
    """
    if not args.fast:
        return {"model": args.model, "backend": args.backend, "precision": args.precision}
    if args.model != "gimefive" or args.backend == "torch" or args.precision == "bf16":
        raise ValueError("--fast chooses the model and the backend: leave out --model, --backend and --precision")
    return FAST


def load_predictor(
    model: str | Path = "gimefive",
    backend: str = "torch",
    precision: str = "fp32",
    threads: int | None = None,
    single_view: bool = False,
    explain: str | None = None,
    **options: Any,
) -> Predictor:
    """
    A network on a runtime.

    Args:
        model: the name of a checkpoint in the package, a folder, a Hub id, or an .onnx file of `gimefive export`.
        backend: "torch", "onnx", or "auto": onnxruntime for an .onnx file and for a checkpoint that has a `model.onnx`
            in fp32, the same network, unless bfloat16, `explain` or `options` ask for what it cannot give; else torch.
        precision: "bf16" computes in bfloat16, with torch only; an ONNX file has its own precision. "auto" is bf16
            where the processor has instructions for it, which is more than twice as fast there, and else fp32.
        threads: of onnxruntime; None for as many as torch uses.
        single_view: make one pass per face, whatever views the model's config averages over.
        explain: method of the heat maps that will be asked for, or None.
        options: for transformers' `from_pretrained`, such as `revision` or `token`; with torch only.

    Raises:
        ValueError: for an unknown backend or precision, for options that contradict each other, or if there is no such
            model or the file is not ours.
    """
    if backend not in BACKENDS or precision not in PRECISIONS:
        raise ValueError(
            f"backend must be one of {', '.join(BACKENDS)} and precision one of {', '.join(PRECISIONS)}; "
            f"got {backend!r} and {precision!r}"
        )
    if backend == "auto":
        found = find_onnx(model, choose_precision(precision), threads, single_view, explain)
        if found is not None and not options:
            return found
        backend = "torch"
    if backend == "onnx":
        if precision == "bf16":
            raise ValueError("an ONNX file has its own precision: leave out --precision, and export with --int8")
        if options:
            raise ValueError(f"an ONNX file knows no {', '.join(options)}; use backend='torch'")
        return OnnxPredictor(model, threads, single_view)
    import torch

    from .torch_predictor import TorchPredictor

    precision = choose_precision(precision)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    predictor = TorchPredictor.from_pretrained(model, **{"dtype": dtype} | options | (ONE_VIEW if single_view else {}))
    if precision == "bf16":
        predictor.model.to(memory_format=torch.channels_last)
    return predictor


def find_onnx(
    model: str | Path, precision: str, threads: int | None, single_view: bool, explain: str | None
) -> OnnxPredictor | None:
    """The model's ONNX file if it was named, or if it gives what torch would give."""
    file = onnx_file(model)
    if file is None:
        return None
    if file != Path(model) and precision == "bf16":
        return None
    predictor = OnnxPredictor(file, threads, single_view)
    same = predictor.precision == "fp32" and (explain is None or explain in predictor.map_methods)
    return predictor if same or file == Path(model) else None


def choose_precision(precision: str) -> str:
    """What "auto" stands for on this machine; another precision as it is."""
    if precision != "auto":
        return precision
    return "bf16" if has_bf16() else "fp32"


@lru_cache(maxsize=1)
def has_bf16() -> bool:
    """
    Whether the processor multiplies matrices in bfloat16; where it does not, torch emulates it slowly. Read from what
    Linux tells of the processor, because asking torch means importing it; elsewhere the answer is no.
    """
    try:
        facts = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return any(flag in facts for flag in ("avx512_bf16", "amx_bf16"))
