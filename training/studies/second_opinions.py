"""
Take the second opinions on the test images into the store: FER+'s votes and AffectNet's second labels.

    python -m training.studies.second_opinions --data DIR

DIR holds fer2013.zip with `ferplus_votes.csv`, and `affectnet_second_labels.csv` (source,folder,second). Only labels
are taken, of test images alone; evaluation/analyses/second_opinions.py tells what is made of them.
"""

import argparse
from pathlib import Path

import pandas as pd

from evaluation.analyses.second_opinions import OPTIONS
from evaluation.store import write_table

from ..corpora import VOTES, load_corpus
from ..corpora.second_labels import read_second_labels
from ..script import Script


def fer_plus_votes(data: Path) -> pd.DataFrame:
    """Columns source and OPTIONS: FER+'s counts for FER2013's test images that have votes."""
    assert VOTES == OPTIONS
    test = load_corpus("fer2013", data)["test"].select_columns(["source", "votes"])
    rows = [[row["source"], *row["votes"]] for row in test if row["votes"]]
    return pd.DataFrame(rows, columns=["source", *OPTIONS])


def affectnet_second(data: Path) -> pd.DataFrame:
    """Columns source and second, of AffectNet's test images."""
    sources = load_corpus("affectnet", data)["test"]["source"][:]
    return pd.DataFrame({"source": sources, "second": read_second_labels(data, "affectnet", sources)})


def run(args: argparse.Namespace) -> None:
    tables = {"fer_plus": fer_plus_votes(args.data), "affectnet_second": affectnet_second(args.data)}
    for name, table in tables.items():
        write_table(args.store / f"{name}.csv", table, list(table.columns), ["source"])
        print(f"{name}.csv: {len(table):,} test images")


def main(argv: list[str] | None = None) -> int:
    return Script("training.studies.second_opinions", __doc__, data=True, store="--store").run(run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
