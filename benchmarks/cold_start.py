"""
Whole processes, from the shell's call to their end: one photo, and a folder of crops beside the paper's own script.

    python -m benchmarks.cold_start --photo PHOTO.jpg --crops DIR [--repeats 5] [--folder-repeats 3]

The commands run in turn, so that what disturbs one disturbs all. Processor time is that of all threads and hardly
changes when others use the machine; wall time does.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

REPO = Path(__file__).parents[1]
PAPERS_SCRIPT = (
    "import sys; from pathlib import Path; from benchmarks.papers_way import papers_network, score_folder; "
    "score_folder(papers_network(), Path(sys.argv[1]))"
)
IMPORT = "import transformers, gimefive_hf; gimefive_hf.GiMeFiveForImageClassification"


@dataclass
class Usage:
    """What one process took: wall and processor seconds, peak resident MB."""

    wall: float
    cpu: float
    peak: float


def run(call: list[str]) -> Usage:
    """Run a command to its end. Raises RuntimeError, with what it wrote on standard error, if it fails."""
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        # This process imports nothing large: a child's peak counts what it shares with its parent before it starts.
        process = subprocess.Popen(call, cwd=REPO, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(f"{' '.join(call)}: {errors.read().decode(errors='replace')}")
    return Usage(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def measure(calls: dict[str, list[str]], repeats: int, warm_up: bool = True) -> dict[str, list[Usage]]:
    """Each once for warming up the disk's cache, then all in turn, `repeats` times."""
    for call in calls.values() if warm_up else ():
        run(call)
    runs = [{name: run(call) for name, call in calls.items()} for _ in range(repeats)]
    return {name: [usages[name] for usages in runs] for name in calls}


def rows(results: dict[str, list[Usage]]) -> list[list[str]]:
    """One line per command: medians, and the shortest wall time."""
    found = []
    for name, usages in results.items():
        walls, processor, peak = [u.wall for u in usages], median(u.cpu for u in usages), max(u.peak for u in usages)
        found.append([f"`{name}`", f"{median(walls):.2f}", f"{min(walls):.2f}", f"{processor:.2f}", f"{peak:.0f}"])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photo", type=Path, required=True)
    parser.add_argument("--crops", type=Path, required=True, help="folder with aligned crops (.jpg)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder-repeats", type=int, default=3)
    args = parser.parse_args()
    photo, crops = str(args.photo.resolve()), str(args.crops.resolve())
    command = [sys.executable, "-m", "gimefive_hf.cli"]
    calls = {"gimefive --help": [*command, "--help"]}
    for flags in ([], ["--fast"], ["--backend", "torch"]):
        calls[" ".join(["gimefive predict PHOTO", *flags])] = [*command, "predict", photo, *flags]
    one = measure(calls | {"importing transformers, torch and our model": [sys.executable, "-c", IMPORT]}, args.repeats)
    with tempfile.TemporaryDirectory() as place:  # libraries and networks are in the disk's cache by now
        score = [*command, "score", crops, "--crops", "--overwrite", "-o", f"{place}/scores.csv"]
        calls = {"the paper's script": [sys.executable, "-c", PAPERS_SCRIPT, crops]}
        for flags in ([], ["--single-view"], ["--fast"]):
            calls[" ".join(["gimefive score CROPS", *flags])] = [*score, *flags]
        many = measure(calls, args.folder_repeats, warm_up=False)
    from .measuring import table, write_results  # they import torch, see `run`

    header = ["", "wall s, median", "wall s, best", "processor s, median", "peak MB"]
    write_results(
        __spec__,
        "From a cold shell",
        "Whole processes, the start of Python included, with warm disk caches. Peak: resident memory as the kernel "
        "counted it.",
        f"One photo with one face, {args.repeats} runs each in turn:",
        table(header, rows(one)),
        f"{len(list(args.crops.rglob('*.jpg')))} aligned crops as JPEG files, {args.folder_repeats} runs each in turn, "
        "on all cores. The paper's script opens, transforms and scores one image at a time with its network; the "
        "networks are not the same:",
        table(header, rows(many)),
    )


if __name__ == "__main__":
    main()
