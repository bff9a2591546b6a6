"""
The cross-dataset table with trained networks: one small recipe for all, whole networks instead of frozen features.

    python -m training.studies.cross_trained --data DIR --identity package/model --out runs/cross
    python -m training.studies.cross_trained --data DIR --identity package/model --out runs/cross --runs raf-db

Recipe `cross-dataset`: gimefive-fast's network, from the same face-identity weights, for the same number of steps on
each corpus and on two unions, one seed; the last weights are scored, so that no image selects anything. It is a small
budget, whose minutes runs.csv has: it compares corpora under equal terms and is no corpus's best. A
finished row is scored again without being trained again, and a killed one goes on.
"""

import argparse
from pathlib import Path

from evaluation.corpora import corpora_with
from evaluation.queries import CROSS_TRAINED

from ..loop.paths import RunPaths
from ..loop.settings import read_settings
from ..measuring.evaluate import evaluate
from ..measuring.scorers import load_scorer
from ..script import Script
from ..train import train
from .import_run import run_row, update_runs

RECIPE = "cross-dataset"
# Name of the row → the corpora of its training split, each image once an epoch.
ROWS = {
    "raf-db": ("raf-db",),
    "fer2013": ("fer2013",),
    "affectnet": ("affectnet",),
    "ck48": ("ck48",),
    "affectnet-fer2013": ("affectnet", "fer2013"),
    "all": ("raf-db", "fer2013", "affectnet", "ck48", "tfeid"),
}


def train_row(name: str, paths: RunPaths) -> None:
    """Train one row's network, unless it is finished."""
    settings = read_settings(Path(RECIPE), corpora=dict.fromkeys(ROWS[name], 1.0))
    if (paths.out / "model").is_dir() and read_settings(paths.out / "settings.json") == settings:
        print(f"{name}: trained before", flush=True)
        return
    train(settings, paths)


def score_row(name: str, folder: Path, data: Path, store: Path, machine: str) -> None:
    """Score the trained network on every test split, and keep its settings beside the predictions."""
    model = CROSS_TRAINED + name
    scorer = load_scorer(str(folder / "model"), model)
    table = evaluate(scorer, data, store, list(corpora_with(test=True)), ["aligned"])
    update_runs(store, [run_row(folder, model, RECIPE, machine)])
    rows = table[(table["metric"] == "accuracy") & (table["subset"] == "full")]
    print(model, {row.corpus: f"{100 * row.value:.1f} of {row.n_total}" for row in rows.itertuples()}, flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = Script("training.studies.cross_trained", __doc__, data=True, store="--store")
    parser.add_argument("--identity", type=Path, required=True, help="folder of the face-identity weights")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs, one for each row")
    parser.add_argument("--cache", type=Path, help="folder of the corpora's caches")
    parser.add_argument("--runs", nargs="+", choices=list(ROWS), default=list(ROWS), help="default: all")
    parser.add_argument("--machine", default="unknown", help="in words, for runs.csv")
    return parser.run(run, argv)


def run(args: argparse.Namespace) -> None:
    for name in args.runs:
        folder = args.out / name
        train_row(name, RunPaths(args.data, folder, cache=args.cache, identity=args.identity, cpu=True))
        score_row(name, folder, args.data, args.store, args.machine)


if __name__ == "__main__":
    raise SystemExit(main())
