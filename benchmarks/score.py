"""
Images per second of `gimefive score --crops` beside the paper's script, on the same aligned crops (.jpg).

    python -m benchmarks.score --crops DIR [--model gimefive] [--images 1024] [--repeats 3]
"""

import shutil
import tempfile
from functools import partial
from pathlib import Path

import torch

from gimefive_hf.folders.scoring import score_folder
from gimefive_hf.runtimes.backends import FAST_BATCH_SIZE

from . import papers_way
from .measuring import about_model, backends_and_views, compared, interleaved, options, table, write_results


def main() -> None:
    args = options(__doc__, crops=Path, model="gimefive", images=1024, repeats=3)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "crops"
        folder.mkdir()
        paths = sorted(args.crops.rglob("*.jpg"))[: args.images]
        for index, path in enumerate(paths):
            shutil.copy(path, folder / f"{index:05d}.jpg")
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as the command has it: batches run side by side
        recognizers = backends_and_views(args.model, args.crops, Path(place))
        torch.set_num_threads(threads)
        works = {"the paper's script": partial(papers_way.score_folder, papers_way.papers_network(), folder)}
        score = partial(score_folder, folder=folder, output=Path(place) / "s.csv", crops=True, overwrite=True)
        for name, fer in recognizers.items():  # with the batch sizes of the command
            size = FAST_BATCH_SIZE if "--fast" in name else 32
            works[f"gimefive score, {name}"] = partial(score, fer, batch_size=size)
        results = compared(interleaved(works, args.repeats), len(paths))
    rows = [[name, f"{rate:.0f}", times, f"{cpu:.2f}", times_cpu] for name, rate, times, cpu, times_cpu in results]
    header = ["", "images/s, best", "to the paper's, median of runs", "processor ms per image", "to the paper's"]
    text = (
        f"{len(paths)} aligned crops as JPEG files, {args.repeats} runs of each in turn. The paper's script: PIL, the "
        "paper's transforms and network (10.5 M parameters, 64×64, 0.63 GFLOP), one image at a time in fp32, all "
        "threads. Ours: the whole command without its start, decoding, journal and table included, with the network of "
        f"{about_model(args.model, recognizers['torch fp32'])}, one batch per core at a time. Both write six scores "
        'per file; the networks are not the same. "--fast" is the network of `gimefive-fast`, which sees 64×64 pixels. '
        '"Single view" is `--single-view`: one pass per face instead of the average over the views, which '
        "all others but --fast compute; what that costs in accuracy stands in RESULTS-latency.md."
    )
    write_results(__spec__, "Scoring a folder of crops", text, table(header, rows))


if __name__ == "__main__":
    main()
