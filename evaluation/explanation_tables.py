"""The tables of the explanation scripts in `evaluation/results/`: rows of one model are replaced, the others stay."""

from pathlib import Path

import pandas as pd

from gimefive_hf.tables import whole_file


def merge_rows(path: Path, new: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """
    Write the CSV with `new` in place of old rows of the same `key`, and give it back.

    Rows of the same model (column `model`) but of other weights (column `weights`) go too: they are not of this model
    any more.

    Raises:
        ValueError: if `new` has a key twice.
    """
    twice = new[new.duplicated(key)]
    if len(twice):
        raise ValueError(f"{path.name}: {len(twice)} duplicate rows, the first is {twice.iloc[0][key].to_dict()}")
    if path.is_file():
        old = pd.read_csv(path, dtype={"weights": "string"})
        renewed = pd.MultiIndex.from_frame(old[key]).isin(pd.MultiIndex.from_frame(new[key]))
        outdated = old["model"].isin(new["model"]) & ~old["weights"].isin(new["weights"])
        kept = old[~renewed & ~outdated]
        new = pd.concat([kept, new], ignore_index=True) if len(kept) else new
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        new.to_csv(part, index=False, lineterminator="\n")
    return new
