"""
Images per second of `gimefive score --crops` beside the paper's script, on the same aligned crops.

    python -m benchmarks.score --crops DIR
"""

import argparse
import shutil
import tempfile
from functools import partial
from pathlib import Path
from statistics import median

import torch

from gimefive_hf.folders.scoring import score_folder
from gimefive_hf.runtimes.backends import FAST_BATCH_SIZE

from . import papers_way
from .measuring import about_model, add_models, backends_and_views, interleaved, table, write_results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=3)
    add_models(parser)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "crops"
        folder.mkdir()
        paths = sorted(args.crops.rglob("*.jpg"))[: args.images]
        for index, path in enumerate(paths):
            shutil.copy(path, folder / f"{index:05d}.jpg")
        network = papers_way.papers_network()
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as the command has it: batches run side by side
        recognizers = backends_and_views(args)
        torch.set_num_threads(threads)
        works = {"the paper's script": lambda: papers_way.score_folder(network, folder)}
        score = partial(score_folder, folder=folder, output=Path(place) / "s.csv", crops=True, overwrite=True)
        for name, fer in recognizers.items():  # with the batch sizes of the command
            works[f"gimefive score, {name}"] = partial(
                score, fer, batch_size=FAST_BATCH_SIZE if "--fast" in name else 32
            )
        results = interleaved(works, args.repeats)
    base = results["the paper's script"]
    rows = []
    for name, timings in results.items():
        ratios = [b.wall / t.wall for b, t in zip(base, timings, strict=True)]
        cpu = median(t.cpu for t in timings) / len(paths) * 1000
        rows.append(
            [
                name,
                f"{len(paths) / min(t.wall for t in timings):.0f}",
                f"{median(ratios):.1f}×",
                f"{cpu:.2f}",
                f"{median(b.cpu for b in base) / len(paths) * 1000 / cpu:.1f}×",
            ]
        )
    header = ["", "images/s, best", "to the paper's, median of runs", "processor ms per image", "to the paper's"]
    model = about_model(args.model, recognizers["torch fp32"])
    text = (
        f"{len(paths)} aligned crops as JPEG files, {args.repeats} runs of each in turn. The paper's script: PIL, the "
        "paper's transforms and network (10.5 M parameters, 64×64, 0.63 GFLOP), one image at a time in fp32, all "
        "threads. Ours: the whole command without its start, decoding, journal and table included, with the network of "
        f"{model}, one batch per core at a time. Both write six scores per file; the networks are "
        'not the same. "--fast" is the network of `gimefive-fast`, which sees 64×64 pixels. "Single view" is '
        "`--single-view`: one pass per face instead of the average over the views, which "
        "all others but --fast compute; what that costs in accuracy stands in RESULTS-latency.md."
    )
    print(
        write_results("score", "Scoring a folder of crops", "python -m benchmarks.score", [text, table(header, rows)])
    )


if __name__ == "__main__":
    main()
