"""
Put the held-out metrics of a training run into the store's curves.csv.

    python -m evaluation.analyses.record_curves --model gimefive --run runs/flagship

Reads the `curves.csv` of `training.train`, whose held-out columns are named `eval_CORPUS_METRIC`, and `run.json`, if
there is one. Curves of the same model are replaced.
"""

import argparse
import json
import re
from pathlib import Path

import pandas as pd

from ..store import CURVE_COLUMNS, DEFAULT_STORE, write_curves

HELD_OUT = re.compile(r"eval_(.+)_(accuracy|recall)$")


def read_run(run: Path, model: str) -> pd.DataFrame:
    """
    The curves of a run with CURVE_COLUMNS: shares in [0, 1]; minutes by the run's mean speed, and numbers of images,
    where it has ended.

    Raises ValueError if the folder has no curves.
    """
    curves, record = run / "curves.csv", run / "run.json"
    if not curves.is_file():
        raise ValueError(f"{run} has no curves.csv")
    images, minutes_per_step = {}, None
    if record.is_file():
        content = json.loads(record.read_text())
        images, minutes_per_step = content["held_out_images"], content["seconds"] / content["finished_step"] / 60
    table = pd.read_csv(curves)
    rows = []
    for column in table:
        if match := HELD_OUT.match(column):
            corpus, metric = match.groups()
            for step, value in table[["step", column]].dropna().itertuples(index=False):
                minutes = None if minutes_per_step is None else step * minutes_per_step
                rows.append([model, int(step), minutes, corpus, metric, value / 100, images.get(corpus)])
    return pd.DataFrame(rows, columns=CURVE_COLUMNS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="the model's name in the store")
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument("--store", type=Path, default=DEFAULT_STORE)
    args = parser.parse_args()
    try:
        table = read_run(args.run, args.model)
    except ValueError as error:
        parser.error(str(error))
    write_curves(args.store, table)
    print(f"{len(table)} points of {args.model}")


if __name__ == "__main__":
    main()
