"""
Put the held-out metrics of a training run into the store's curves.csv.

    python -m training.record_curves --model gimefive --run runs/first

Reads `history.json` of a run, a list of {"step", "minutes", corpus: {metric: percent}}, or the
`curves.csv` of `training.train`, whose held-out columns are named `eval_CORPUS_METRIC`.
"""

import argparse
import json
import re
from pathlib import Path

import pandas as pd

from gimefive_hf.results import CURVE_COLUMNS, DEFAULT_STORE, write_curves

HELD_OUT = re.compile(r"eval_(.+)_(accuracy|recall)$")


def read_history(path: Path, model: str) -> list[list]:
    """Rows of CURVE_COLUMNS; shares in [0, 1]."""
    rows = []
    for entry in json.loads(path.read_text()):
        for corpus, metrics in entry.items():
            if isinstance(metrics, dict):
                rows += [[model, entry["step"], entry["minutes"], corpus, m, v / 100] for m, v in metrics.items()]
    return rows


def read_run_curves(path: Path, model: str) -> list[list]:
    """Rows of CURVE_COLUMNS out of a run's wide table; minutes are not recorded there."""
    table = pd.read_csv(path)
    rows = []
    for column in table:
        if match := HELD_OUT.match(column):
            measured = table[["step", column]].dropna()
            rows += [[model, int(s), None, match[1], match[2], v / 100] for s, v in measured.itertuples(index=False)]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="the model's name in the store")
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument("--store", type=Path, default=DEFAULT_STORE)
    args = parser.parse_args()
    history, curves = args.run / "history.json", args.run / "curves.csv"
    if not history.is_file() and not curves.is_file():
        parser.error(f"{args.run} has neither history.json nor curves.csv")
    rows = read_history(history, args.model) if history.is_file() else read_run_curves(curves, args.model)
    write_curves(args.store, pd.DataFrame(rows, columns=CURVE_COLUMNS))
    print(f"{len(rows)} points of {args.model}")


if __name__ == "__main__":
    main()
