"""What every benchmark needs: wall and processor time, the machine's facts, a table in Markdown."""

import os
import platform
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

HERE = Path(__file__).parent


@dataclass
class Timing:
    """Wall and processor seconds of one run; the latter, of all threads, hardly changes when others use the machine."""

    wall: float
    cpu: float


def timed(work: Callable[[], object]) -> Timing:
    """Run once."""
    before, start = cpu_seconds(), time.perf_counter()
    work()
    return Timing(time.perf_counter() - start, cpu_seconds() - before)


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def interleaved(works: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[Timing]]:
    """Each of `works` once for warming up, then all in turn, `repeats` times: what disturbs one disturbs all."""
    for work in works.values():
        work()
    results: dict[str, list[Timing]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            results[name].append(timed(work))
    return results


def matrix_peak(dtype: torch.dtype, side: int = 1536, repeats: int = 5) -> float:
    """The best GFLOP/s seen in a matrix product of `side`."""
    a = torch.randn(side, side).to(dtype)
    best = min(timed(lambda: a @ a).wall for _ in range(repeats))
    return 2 * side**3 / best / 1e9


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
