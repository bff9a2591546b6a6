"""
Put the held-out metrics of a training run into the store's curves.csv.

    python -m evaluation.analyses.record_curves --model gimefive --run runs/flagship

Reads the `curves.csv` of `training.train`, whose held-out columns are named `eval_CORPUS_METRIC`, and `run.json`, if
there is one; or `history.json`, a list of {"step", "minutes", corpus: {metric: percent}}. Curves of the same model are
replaced.
"""

import argparse
import json
import re
from pathlib import Path

import pandas as pd

from ..store import CURVE_COLUMNS, DEFAULT_STORE, write_curves

HELD_OUT = re.compile(r"eval_(.+)_(accuracy|recall)$")


def read_history(path: Path, model: str) -> list[list]:
    """Rows of CURVE_COLUMNS without n; shares in [0, 1]."""
    rows = []
    for entry in json.loads(path.read_text()):
        for corpus, metrics in entry.items():
            if isinstance(metrics, dict):
                rows += [[model, entry["step"], entry["minutes"], corpus, m, v / 100] for m, v in metrics.items()]
    return rows


def read_run_curves(path: Path, model: str, seconds_per_step: float | None) -> list[list]:
    """Rows of CURVE_COLUMNS without n, out of a run's wide table; minutes from the run's mean speed."""
    table = pd.read_csv(path)
    rows = []
    for column in table:
        if match := HELD_OUT.match(column):
            for step, value in table[["step", column]].dropna().itertuples(index=False):
                minutes = None if seconds_per_step is None else step * seconds_per_step / 60
                rows.append([model, int(step), minutes, match[1], match[2], value / 100])
    return rows


def read_run(run: Path, model: str, images: dict[str, int]) -> pd.DataFrame:
    """
    The curves of a run with CURVE_COLUMNS.

    Args:
        images: held-out images of each corpus, for runs that have no `run.json`.

    Raises:
        ValueError: if the folder has no curves.
    """
    history, curves, record = run / "history.json", run / "curves.csv", run / "run.json"
    seconds_per_step = None
    if record.is_file():
        content = json.loads(record.read_text())
        images = content["held_out_images"] | images
        seconds_per_step = content["seconds"] / content["finished_step"]
    if history.is_file():
        rows = read_history(history, model)
    elif curves.is_file():
        rows = read_run_curves(curves, model, seconds_per_step)
    else:
        raise ValueError(f"{run} has neither history.json nor curves.csv")
    return pd.DataFrame([[*row, images.get(row[3])] for row in rows], columns=CURVE_COLUMNS)


def parse_count(text: str) -> tuple[str, int]:
    """`CORPUS=N`."""
    corpus, _, count = text.partition("=")
    if not corpus or not count.isdigit():
        raise argparse.ArgumentTypeError(f"expected CORPUS=N, such as raf-db=584; got {text!r}")
    return corpus, int(count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="the model's name in the store")
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument(
        "--held-out",
        nargs="+",
        type=parse_count,
        default=[],
        metavar="CORPUS=N",
        help="held-out images, if not in run.json",
    )
    parser.add_argument("--store", type=Path, default=DEFAULT_STORE)
    args = parser.parse_args()
    try:
        table = read_run(args.run, args.model, dict(args.held_out))
    except ValueError as error:
        parser.error(str(error))
    write_curves(args.store, table)
    print(f"{len(table)} points of {args.model}")


if __name__ == "__main__":
    main()
