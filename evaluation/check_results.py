"""
Recompute every row of results.csv from the predictions, and fail on a stale table.

    python -m evaluation.check_results [--store DIR] [--write]     # --write mends it

Exit code 0: all rows follow from the predictions; 1: not; 2: the store cannot be read.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from .check_explanations import check_explanations
from .rows import compare_results, compute_results, update_results
from .store import DEFAULT_STORE, read_leaked, read_store


def check_results(path: Path) -> list[str]:
    """What is wrong with the store in `path`: broken files, then rows that the predictions don't give."""
    store = read_store(path)
    faults = list(store.problems)
    leaked = read_leaked(path)
    tables = [compute_results(part, store.models[name], leaked) for name, part in store.by_model.items()]
    if tables:
        faults += compare_results(store.results, pd.concat(tables, ignore_index=True))
    return faults + check_explanations(path, store)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, default=DEFAULT_STORE)
    parser.add_argument("--write", action="store_true", help="renew results.csv from the predictions")
    args = parser.parse_args()
    if args.write:
        try:
            table = update_results(args.store)
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        print(f"results.csv: {len(table)} rows of {table['model'].nunique()} models")
        return 0
    faults = check_results(args.store)
    for fault in faults[:40]:
        print(fault, file=sys.stderr)
    if not faults:
        print(f"{args.store.name}: every stored figure is that of its predictions")
    if faults:
        print(f"{len(faults)} faults; python -m evaluation.check_results --write renews results.csv", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
