"""
How precise the search for near duplicates is: pairs that were looked at, side by side, one by one.

`results/near_duplicates_judged.csv` has a row per pair: test image and twin, the kind and figures that the search gave
them, and whether they are the same photograph (`same_photo`, yes or no).
"""

import csv
from collections import defaultdict
from pathlib import Path

from evaluation.metrics import share_interval
from evaluation.store import DEFAULT_STORE

JUDGED = DEFAULT_STORE / "near_duplicates_judged.csv"


def precision_by_kind(path: Path = JUDGED) -> list[dict]:
    """Per kind of pair: how many were looked at, how many are one photograph, and the interval of that share."""
    if not path.is_file():
        return []
    answers: dict[str, list[bool]] = defaultdict(list)
    with open(path, newline="") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            if row["same_photo"] not in ("yes", "no"):
                raise ValueError(f"{path.name}, line {number}: same_photo must be yes or no; got {row['same_photo']!r}")
            answers[row["kind"]].append(row["same_photo"] == "yes")
    result = []
    for kind, same in answers.items():
        low, high = share_interval(sum(same) / len(same), len(same))
        result.append({"kind": kind, "looked_at": len(same), "same_photo": sum(same), "low": low, "high": high})
    return result
