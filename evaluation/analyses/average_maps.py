"""Average heat maps of models side by side: over which images, and how alike they are."""

from itertools import combinations

import numpy as np
import pandas as pd

from gimefive_hf.emotions import EMOTIONS

Arrays = dict[str, np.ndarray]  # as `training.measuring.attention` writes them


def mean_maps(arrays: Arrays, corpora: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Maps (6, side, side) of each emotion over some corpora, every image counting the same, and the images (6,)."""
    rows = [arrays["corpora"].tolist().index(name) for name in corpora]
    counts = arrays["counts"][rows]
    total = counts.sum(0)
    sums = np.nansum(arrays["maps"][rows] * counts[..., None, None], axis=0)
    shape = total[:, None, None]
    return np.divide(sums, shape, out=np.full_like(sums, np.nan), where=shape > 0), total


def likeness(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson's correlation over the pixels of two models' maps (6, side, side), per emotion (6,); NaN for flat."""
    pairs = [(a.ravel(), b.ravel()) for a, b in zip(first, second, strict=True)]
    return np.array([np.corrcoef(a, b)[0, 1] if min(a.std(), b.std()) > 0 else np.nan for a, b in pairs])


def likeness_table(means: dict[str, tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """
    A row for each two models, out of what `mean_maps` says of each: first, second, value (the correlation of their
    maps, mean over the emotions), lowest and lowest_emotion, n (images behind the smaller one).
    """
    rows = []
    for first, second in combinations(means, 2):
        values = likeness(means[first][0], means[second][0])
        if np.isfinite(values).any():
            lowest = int(np.nanargmin(values))
            n = int(min(means[first][1].sum(), means[second][1].sum()))
            rows.append([first, second, float(np.nanmean(values)), values[lowest], EMOTIONS[lowest], n])
    return pd.DataFrame(rows, columns=["first", "second", "value", "lowest", "lowest_emotion", "n"])


def likeness_sentence(table: pd.DataFrame) -> str:
    """How alike models that differ in their training corpora alone look at faces, out of `likeness_table`."""
    apart, close = table.loc[table["value"].idxmin()], table.loc[table["value"].idxmax()]
    pairs = "1 pair" if len(table) == 1 else f"{len(table)} pairs"
    text = f"The average maps of two such networks correlate by {table['value'].mean():.2f} on average ({pairs})"
    if len(table) > 1:
        text += f", most those of {close['first']} and {close['second']}, {close['value']:.2f}"
    return (
        f"{text}; least alike are {apart['first']} and {apart['second']}, {apart['value']:.2f}, and of their emotions "
        f"{apart['lowest_emotion']}, {apart['lowest']:.2f}. How alike two trainings on one corpus would be is not "
        "measured."
    )
