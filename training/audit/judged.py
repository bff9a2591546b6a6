"""
How precise the search for near duplicates is: pairs that were looked at, side by side, one by one.

`results/near_duplicates_judged.csv` has a row per pair: test image and twin, the kind and figures that the search gave
them, and whether they are the same photograph (`same_photo`, yes or no).
"""

from pathlib import Path

import pandas as pd

from evaluation.metrics import share_interval
from evaluation.store import DEFAULT_STORE

JUDGED = DEFAULT_STORE / "near_duplicates_judged.csv"


def precision_by_kind(path: Path = JUDGED) -> list[dict]:
    """Per kind of pair: how many were looked at, how many are one photograph, and the interval of that share."""
    if not path.is_file():
        return []
    table = pd.read_csv(path, dtype=str)
    wrong = ~table["same_photo"].isin(["yes", "no"])
    if wrong.any():
        line, got = wrong.idxmax() + 2, table["same_photo"][wrong].iloc[0]
        raise ValueError(f"{path.name}, line {line}: same_photo must be yes or no; got {got!r}")
    result = []
    for kind, answers in table.groupby("kind", sort=False)["same_photo"]:
        same, seen = int((answers == "yes").sum()), len(answers)
        low, high = share_interval(same / seen, seen)
        result.append({"kind": kind, "looked_at": seen, "same_photo": same, "low": low, "high": high})
    return result
