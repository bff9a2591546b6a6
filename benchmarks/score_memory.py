"""
Peak memory of the `gimefive score` command, process and all, for a thousand and for fifty thousand crops.

    python -m benchmarks.score_memory [--model gimefive] [--backend onnx --model int8-single.onnx]
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import pandas as pd
from PIL import Image
from skimage.data import astronaut

from gimefive_hf.runtimes.backends import add_model_arguments

from .measuring import table, timed, write_results
from .video_memory import peak_memory

COUNTS = (1_000, 50_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_model_arguments(parser)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for count in COUNTS:
            folder, output = Path(place) / str(count), Path(place) / f"{count}.csv"
            link_crops(folder, count)
            call = [sys.executable, "-m", "gimefive_hf.cli", "score", str(folder), "-o", str(output), "--crops"]
            call += ["--model", args.model, "--backend", args.backend, "--precision", args.precision]
            peaks: list[float] = []
            seconds = timed(lambda call=call, peaks=peaks: peaks.append(peak_memory(call))).wall
            scored = pd.read_csv(output)["error"].isna().sum()
            assert scored == count, f"{scored} of {count}"
            rows.append((count, peaks[0], seconds))
    text = (
        f"64×64 crops (one public-domain face under many names), `--crops`, {args.backend} backend with "
        f"`{Path(args.model).name}`, CSV out. Peak resident memory of the process as the kernel counted it, libraries "
        "and network included; time with the start of the command."
    )
    cells = [[f"{count:,}", f"{peak:.0f} MB", f"{seconds:.0f} s"] for count, peak, seconds in rows]
    made = table(["images", "peak memory", "time"], cells)
    growth = f"{COUNTS[1]:,} images take {rows[1][1] - rows[0][1]:+.0f} MB against {COUNTS[0]:,}."
    command = "python -m benchmarks.score_memory"
    print(write_results("score-memory", "Memory of scoring a folder", command, [text, made, growth]))


def link_crops(folder: Path, count: int) -> None:
    """`count` names of one file, a thousand in each subfolder."""
    folder.mkdir()
    first = folder / "face.png"
    Image.fromarray(astronaut()[64:184, 160:280]).resize((64, 64)).save(first)
    for index in range(count):
        place = folder / f"{index // 1000:03d}"
        place.mkdir(exist_ok=True)
        os.link(first, place / f"{index:05d}.png")
    first.unlink()


if __name__ == "__main__":
    main()
