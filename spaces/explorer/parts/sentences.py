"""What a chart shows, in a sentence, for readers who do not see it."""

import pandas as pd


def value_text(row: pd.Series, share: bool = True, signed: bool = False) -> str:
    """`86.5 % [85.1, 87.8]`, or the plain number where values are no shares; without an interval only the value."""
    scale, unit = (100, " %") if share else (1, "")
    form = "+.1f" if signed else ".1f" if share else ".3g"
    text = f"{scale * row['value']:{form}}{unit}"
    if "low" in row and pd.notna(row["low"]):
        text += f" [{scale * row['low']:{form}}, {scale * row['high']:{form}}]"
    return text


def ends(table: pd.DataFrame, names: list[str], what: str = "", share: bool = True, signed: bool = False) -> str:
    """
    The highest and the lowest entry of a chart: `Highest: gimefive, RAF-DB, 90.0 % [88.8, 91.2]; lowest: …`.

    Args:
        table: columns `names` and value, perhaps low and high.
        names: the columns that say which entry it is.
        what: the measure, where the chart's title does not say it.
        share: values are shares, else plain numbers.
        signed: values are differences.
    """
    known = table.dropna(subset=["value"])
    start = f"{what}, " if what else ""
    if not len(known):
        return f"{start}no values."
    told = []
    for word, position in (("highest", known["value"].idxmax()), ("lowest", known["value"].idxmin())):
        row = known.loc[position]
        entry = ", ".join(str(row[name]).replace("<br>", " ") for name in names)
        told.append(f"{word}: {entry}, {value_text(row, share, signed)}")
    return f"{start}{'; '.join(told if len(known) > 1 else told[:1])}."
