"""What every benchmark needs: wall and processor time, the machine's facts, a table in Markdown."""

import argparse
import hashlib
import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from gimefive_hf.bundled import resolve_checkpoint
from gimefive_hf.cli import main as gimefive
from gimefive_hf.recognizer import ExpressionRecognizer, from_pretrained
from gimefive_hf.runtimes.backends import FAST, load_predictor

HERE = Path(__file__).parent


@dataclass
class Timing:
    """Wall and processor seconds of one run; the latter, of all threads, hardly changes when others use the machine."""

    wall: float
    cpu: float


def timed(work: Callable[[], object]) -> Timing:
    """Run once."""
    before, start = time.process_time(), time.perf_counter()
    work()
    return Timing(time.perf_counter() - start, time.process_time() - before)


def interleaved(works: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[Timing]]:
    """Each of `works` once for warming up, then all in turn, `repeats` times: what disturbs one disturbs all."""
    for work in works.values():
        work()
    results: dict[str, list[Timing]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            results[name].append(timed(work))
    return results


# Rows, inner side and columns of the products that are tried: what is fastest depends on the caches.
SHAPES = ((512, 512, 512), (1024, 1024, 1024), (2048, 2048, 2048), (4096, 1024, 1024), (8192, 512, 512))


def matrix_peak(precision: str, repeats: int = 6) -> float:
    """
    The best GFLOP/s (for int8: billion operations) of one core, by processor time, of all matrix products that torch
    and onnxruntime have for this precision, in all of `SHAPES`. Convolutions of these libraries can hardly be faster.

    Args:
        precision: "fp32", "bf16" or "int8".
    """
    best = 0.0
    for rows, inner, columns in SHAPES:
        for product in products(precision, rows, inner, columns):
            product()  # packs, chooses a kernel
            seconds = min(timed(product).cpu for _ in range(repeats))
            best = max(best, 2 * rows * inner * columns / seconds / 1e9)
    return best


def products(precision: str, rows: int, inner: int, columns: int) -> list[Callable[[], object]]:
    """One matrix product of each library that has it."""
    if precision == "int8":
        left = torch.randint(-127, 127, (rows, inner), dtype=torch.int8)
        right = torch.randint(-127, 127, (inner, columns), dtype=torch.int8)
        return [lambda: torch._int_mm(left, right), onnx_product(precision, rows, inner, columns)]
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = torch.randn(rows, inner).to(kind), torch.randn(inner, columns).to(kind)
    found: list[Callable[[], object]] = [lambda: a @ b]
    return found if precision == "bf16" else [*found, onnx_product(precision, rows, inner, columns)]


def onnx_product(precision: str, rows: int, inner: int, columns: int) -> Callable[[], object]:
    """A matrix product in onnxruntime on one thread: float32, or uint8 times int8 as its quantised networks have it."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    if precision == "fp32":
        left = random.standard_normal((rows, inner), np.float32)
        operator, kinds, right = (
            "MatMul",
            (TensorProto.FLOAT, TensorProto.FLOAT),
            random.standard_normal((inner, columns), np.float32),
        )
    else:
        left = random.integers(0, 255, (rows, inner), np.uint8)
        right = random.integers(-127, 127, (inner, columns), np.int8)
        operator, kinds = "MatMulInteger", (TensorProto.UINT8, TensorProto.INT32)
    graph = helper.make_graph(
        [helper.make_node(operator, ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", kinds[0], [rows, inner])],
        [helper.make_tensor_value_info("c", kinds[1], [rows, columns])],
        [numpy_helper.from_array(right, "b")],  # a constant, like weights, which is packed once
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"a": left})


def machine() -> str:
    """One paragraph: processor, cores, versions, and how busy the machine was."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{model}, {os.cpu_count()} cores, torch {torch.__version__} with {torch.get_num_threads()} threads; "
        f"{time.strftime('%Y-%m-%d')}. Load average (1, 5, 15 min) at the end: {load}; above the number of cores it "
        "means that other work took part of the machine, which wall-clock numbers suffer from, and processor seconds "
        "hardly."
    )


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def write_results(name: str, title: str, command: str, paragraphs: Sequence[str]) -> Path:
    """Write RESULTS-name.md, made anew as a whole."""
    path = HERE / f"RESULTS-{name}.md"
    head = f"# {title}\n\nWritten by `{command}`; do not edit.\n\n{machine()}\n"
    path.write_text("\n\n".join([head.rstrip(), *paragraphs]) + "\n", encoding="utf-8")
    return path


def add_models(parser: argparse.ArgumentParser) -> None:
    """The options of `backends_and_views`."""
    parser.add_argument("--crops", type=Path, required=True, help="folder with aligned crops (.jpg), at least 16")
    parser.add_argument("--model", default="gimefive", help="a bundled name or the folder of a checkpoint")
    parser.add_argument("--files", type=Path, help="folder of the exported ONNX files, which are kept and used again")


def backends_and_views(args: argparse.Namespace) -> dict[str, ExpressionRecognizer]:
    """
    What is compared: torch in both precisions, ONNX in both, each of the faster with one pass per face, and `--fast`.
    The ONNX files are exported, the quantised ones with ranges taken from the crops.
    """
    with ExitStack() as stack:
        folder = args.files or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        calibration = ["--int8", "--calibration", str(args.crops)]
        onnx, int8 = export(folder, args.model, "onnx"), export(folder, args.model, "int8", *calibration)
        single = export(folder, args.model, "int8-single", *calibration, "--single-view")
        recognizers = {
            "torch fp32": from_pretrained(args.model),
            "torch bf16": from_pretrained(args.model, precision="bf16"),
            "ONNX fp32": from_pretrained(onnx, backend="onnx", threads=1),
            "ONNX int8": from_pretrained(int8, backend="onnx", threads=1),
            "torch bf16, single view": from_pretrained(args.model, precision="bf16", single_view=True),
            "ONNX int8, single view": from_pretrained(single, backend="onnx", threads=1),
            "ONNX int8, --fast": ExpressionRecognizer(load_predictor(**FAST, threads=1)),
        }
    return recognizers


def export(folder: Path, model: str, name: str, *options: str) -> Path:
    """What `gimefive export` writes, unless it is there. Raises SystemExit after its line if it is refused."""
    path = folder / f"{Path(model).name}-{name}.onnx"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        code = gimefive(["export", "-o", str(path), "--model", model, *options])
        if code:
            raise SystemExit(code)
    return path


def about_model(model: str, fer: ExpressionRecognizer) -> str:
    """Its name, by the first digits of `sha256sum model.safetensors` which weights, and how many views it averages."""
    weights = Path(resolve_checkpoint(model)) / "model.safetensors"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
    return f"`{Path(model).name}` (weights {digest}…; views of a face whose logits are averaged: {views_of(fer)})"


def views_of(fer: ExpressionRecognizer) -> int:
    """Passes per face, mirrored and zoomed ones included."""
    config = fer.model.config
    return (1 + len(config.zoom_average)) * (2 if config.flip_average else 1)
