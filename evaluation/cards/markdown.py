"""Numbers of the store as Markdown: with interval, with denominator, a dash where there is none."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ..queries import FLAGSHIP, percent_text

MISSING = "–"


def markdown_table(header: list[str], rows: Iterable[list[str]]) -> str:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def percent(row: pd.Series | None, n: bool = False) -> str:
    """`86.5 [85.1, 87.8]` in percent, with the denominator if asked; a dash where there is no such row or value."""
    return percent_text(row, n, unit="")


def plain(row: pd.Series | None) -> str:
    if row is None or np.isnan(row["value"]):
        return MISSING
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def no_results(model: str = FLAGSHIP) -> str:
    return f"_The store has no results of {model} yet._"
