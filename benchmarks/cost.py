"""
What a face costs on every network of the store that can be built here, for the explorer's leaderboard.

    python -m benchmarks.cost            # writes evaluation/results/cost.csv

Processor time of one thread, one aligned crop at a time, with the views that the checkpoint averages; the fastest of
the repetitions, because whatever else the machine does can only add to it. A network that was trained anew for the
paper's table has random weights here, on which its time does not depend.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import gimefive_hf
from evaluation.queries import TABLE2
from evaluation.store import DEFAULT_STORE, read_store, write_table
from gimefive_hf.recognizer import from_pretrained
from training.networks.catalogue import build_network

from .measuring import machine, options, timed

COLUMNS = ["model", "milliseconds", "megabytes", "how", "machine", "date"]
CHECKPOINTS = Path(gimefive_hf.__file__).parent / "checkpoints"


def least_milliseconds(work: Callable[[], object], repetitions: int = 12) -> float:
    """Processor time of the fastest repetition, after one to warm up."""
    work()
    return 1000 * min(timed(work).cpu for _ in range(repetitions))


@torch.inference_mode()
def cost_of(model: str) -> tuple[float, float, str] | None:
    """Milliseconds a face, megabytes of the weights, and how it was run; None for what cannot be built here."""
    crop = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    folder = CHECKPOINTS / model
    if model.startswith(TABLE2):
        network, processor = build_network(model.removeprefix(TABLE2), 6)
        network.eval()
        values = processor([crop], return_tensors="pt", input_data_format="channels_last")["pixel_values"]
        size = 4e-6 * sum(weight.numel() for weight in network.parameters())
        return least_milliseconds(lambda: network(values).logits), size, "torch fp32, one view"
    if not (folder / "model.safetensors").is_file():
        return None
    fer = from_pretrained(model)
    config = json.loads((folder / "config.json").read_text())
    views = (1 + len(config["zoom_average"])) * (1 + config["flip_average"])
    how = f"{fer.predictor.backend} {fer.predictor.precision}, {views} view{'s' if views > 1 else ''}"
    size = (folder / "model.safetensors").stat().st_size * 1e-6
    return least_milliseconds(lambda: fer.score_crops([crop])), size, how


def main() -> None:
    args = options(__doc__, store=DEFAULT_STORE)
    torch.set_num_threads(1)
    where, rows = machine().split("; ")[0], []
    for model in read_store(args.store).models:
        if (cost := cost_of(model)) is not None:
            rows.append([model, *cost, where, time.strftime("%Y-%m-%d")])
            print(*rows[-1], flush=True)
    write_table(args.store / "cost.csv", pd.DataFrame(rows, columns=COLUMNS), COLUMNS, ["model"])


if __name__ == "__main__":
    main()
