"""What every benchmark needs: its options, wall and processor time, the machine's facts, a table in Markdown."""

import argparse
import hashlib
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from statistics import median

import torch

from gimefive_hf.bundled import resolve_checkpoint
from gimefive_hf.cli import main as gimefive
from gimefive_hf.recognizer import ExpressionRecognizer, from_pretrained
from gimefive_hf.runtimes.backends import FAST, load_predictor

HERE = Path(__file__).parent


def options(doc: str | None, **defaults: object) -> argparse.Namespace:
    """The command line: a flag for each name, with its default, or a type where it must be given."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in defaults.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, type):
            parser.add_argument(flag, type=value, required=True)
        else:
            parser.add_argument(flag, type=type(value), default=value, help="default: %(default)s")
    return parser.parse_args()


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
    runs = [{name: timed(work) for name, work in works.items()} for _ in range(repeats)]
    return {name: [run[name] for run in runs] for name in works}


def medians(timings: Sequence[Timing], count: int = 1) -> tuple[float, float]:
    """Wall and processor milliseconds of one of `count`, of which each timing is of all."""
    return tuple(1000 * median(getattr(t, kind) for t in timings) / count for kind in ("wall", "cpu"))


def compared(results: dict[str, list[Timing]], count: int) -> list[tuple[str, float, str, float, str]]:
    """Name, best number a second, times the first's, processor ms, times the first's; each run is of `count`."""
    base, rows = next(iter(results.values())), []
    for name, timings in results.items():
        times = median(b.wall / t.wall for b, t in zip(base, timings, strict=True))
        (_, first), (_, cpu) = medians(base, count), medians(timings, count)
        rows.append((name, count / min(t.wall for t in timings), f"{times:.1f}×", cpu, f"{first / cpu:.1f}×"))
    return rows


def machine() -> str:
    """One paragraph: processor, cores, versions, and how busy the machine was."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    model = next(iter(models), platform.processor() or platform.machine())
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


def write_results(benchmark: ModuleSpec, title: str, *paragraphs: str) -> None:
    """Write RESULTS-name.md, made anew as a whole, and print it; `benchmark` is the module's `__spec__`."""
    name = benchmark.name.split(".")[-1].replace("_", "-")
    head = f"# {title}\n\nWritten by `python -m {benchmark.name}`; do not edit."
    text = "\n\n".join([head, machine(), *paragraphs]) + "\n"
    (HERE / f"RESULTS-{name}.md").write_text(text, encoding="utf-8")
    print(text)


def backends_and_views(model: str, crops: Path, folder: Path) -> dict[str, ExpressionRecognizer]:
    """
    What is compared: torch in both precisions, ONNX in both, each of the faster with one pass per face, and `--fast`.
    The ONNX files are exported into `folder`, the quantised ones with ranges taken from the crops.
    """

    def exported(*flags: str) -> ExpressionRecognizer:
        path = folder / f"{len(flags)}.onnx"
        if code := gimefive(["export", "-o", str(path), "--model", model, *flags]):
            raise SystemExit(code)
        return from_pretrained(path, backend="onnx", threads=1)

    int8 = ["--int8", "--calibration", str(crops)]
    return {
        "torch fp32": from_pretrained(model),
        "torch bf16": from_pretrained(model, precision="bf16"),
        "ONNX fp32": exported(),
        "ONNX int8": exported(*int8),
        "torch bf16, single view": from_pretrained(model, precision="bf16", single_view=True),
        "ONNX int8, single view": exported(*int8, "--single-view"),
        "ONNX int8, --fast": ExpressionRecognizer(load_predictor(**FAST, threads=1)),
    }


def about_model(model: str, fer: ExpressionRecognizer) -> str:
    """Its name, by the first digits of `sha256sum model.safetensors` which weights, and how many views it averages."""
    weights = Path(resolve_checkpoint(model)) / "model.safetensors"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
    return f"`{Path(model).name}` (weights {digest}…; views of a face whose logits are averaged: {views_of(fer)})"


def views_of(fer: ExpressionRecognizer) -> int:
    """Passes per face, mirrored and zoomed ones included."""
    config = fer.model.config
    return (1 + len(config.zoom_average)) * (2 if config.flip_average else 1)
