"""
Take the probabilities of finished runs into the store, where their weights are not kept.

    python -m training.studies.import_run RUN… --data DIR --prefix table2- --machine "one H100" --recipe paper-raf-db

A run's folder holds settings.json and run.json, as `training.train` writes them, and test.npz: per corpus the
probabilities (images, 6) of its test split, in the order in which `training.measuring.evaluate` reads it. What the run
was, its settings, commit and machine go to runs.csv; the figures are computed from the probabilities like all others.
"""

import argparse
import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from evaluation.cards.starts import STARTS
from evaluation.rows import update_results
from evaluation.store import ModelFacts, hash_file, read_arrays, write_predictions, write_table

from ..corpora import Crops
from ..measuring.evaluate import make_frame, read_images
from ..measuring.scorers import RESEARCH
from ..script import Script

RUN_COLUMNS = [
    *("model", "network", "trained_on", "recipe", "machine", "commit", "torch", "seed", "epochs", "steps", "best_step"),
    *("seconds", "parameters", "held_out_accuracy", "settings"),
]


def run_row(folder: Path, model: str, recipe: str, machine: str) -> dict:
    """What runs.csv keeps of a run. Raises ValueError if the folder lacks something."""
    try:
        settings = json.loads((folder / "settings.json").read_text())
        run = json.loads((folder / "run.json").read_text())
        held_out = [value for name, value in run["held_out"].items() if name.endswith("_accuracy")]
        return {
            **{name: settings[name] for name in ("network", "seed", "epochs")},
            **{name: run[name] for name in ("commit", "steps", "best_step", "seconds", "parameters")},
            "model": model,
            "trained_on": "+".join(settings["corpora"]),
            "recipe": recipe,
            "machine": machine,
            "torch": run["versions"]["torch"],
            "held_out_accuracy": float(np.mean(held_out)) / 100,
            "settings": json.dumps(settings, sort_keys=True),
        }
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"{folder.name} is no folder of a finished run ({error!r})") from None


def prediction_frame(folder: Path, images: dict[str, Crops]) -> pd.DataFrame:
    """The run's probabilities with the images that they belong to. Raises ValueError if they are not as many."""
    frames = []
    for corpus, scores in read_arrays(folder / "test.npz").items():
        if len(scores) != len(images[corpus]):
            raise ValueError(
                f"{folder.name} has {len(scores)} rows for {corpus}, which has {len(images[corpus])} images"
            )
        values = scores.astype(np.float64)
        values /= values.sum(1, keepdims=True)  # stored in 16 bits
        frames.append(make_frame(images[corpus], "aligned", values.astype(np.float32), np.ones(len(values), bool)))
    return pd.concat(frames, ignore_index=True)


def import_run(folder: Path, row: dict, images: dict[str, Crops], store: Path) -> None:
    """Write the predictions and facts of one run; the revision is that of the probabilities."""
    start = STARTS[json.loads(row["settings"])["start"]]
    facts = ModelFacts(
        model=row["model"],
        revision=hash_file(folder / "test.npz"),
        trained_on=row["trained_on"],
        seed=row["seed"],
        parameters=row["parameters"],
        classes=6,
        recipe=f"the network {row['network']}, started from {start} and trained by training.train on {row['machine']}",
        licence=RESEARCH,
        commit=row["commit"],
        date=date.today().isoformat(),
    )
    write_predictions(store, facts, prediction_frame(folder, images))


def update_runs(store: Path, rows: list[dict]) -> None:
    """Put rows of `run_row` into the store's runs.csv, in the place of what it has of their models."""
    table = pd.DataFrame(rows)
    path = store / "runs.csv"
    if path.is_file():
        old = pd.read_csv(path)
        table = pd.concat([old[~old["model"].isin(table["model"])], table], ignore_index=True)
    whole = dict.fromkeys(("epochs", "steps", "best_step"), "Int64")  # a run has steps or epochs
    write_table(path, table.astype(whole), RUN_COLUMNS, ["model"])


def main(argv: list[str] | None = None) -> int:
    parser = Script("training.studies.import_run", __doc__, data=True, store="--store")
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--prefix", default="", help="of the models' names, before their network's")
    parser.add_argument("--machine", default="unknown")
    parser.add_argument("--recipe", default="unknown", help="name of the recipe of training/recipes")
    return parser.run(run, argv)


def run(args: argparse.Namespace) -> None:
    corpora = {name for folder in args.runs for name in read_arrays(folder / "test.npz")}
    images = {corpus: read_images(args.data, corpus, "test", 6) for corpus in sorted(corpora)}
    rows = []
    for folder in args.runs:
        network = json.loads((folder / "settings.json").read_text())["network"]
        rows.append(run_row(folder, args.prefix + network, args.recipe, args.machine))
        import_run(folder, rows[-1], images, args.store)
    update_runs(args.store, rows)
    update_results(args.store, [row["model"] for row in rows])
    print(f"{len(rows)} runs: {', '.join(row['model'] for row in rows)}")


if __name__ == "__main__":
    raise SystemExit(main())
