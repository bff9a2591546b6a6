"""Second labels of a corpus, in a CSV beside it: `NAME_second_labels.csv` with the columns source, folder, second."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from .readers.folders import NAMES
from .schema import LABELS, CorpusError

COLUMNS = ["source", "folder", "second"]


def second_labels_of(data: Path, corpus: str) -> Path:
    """Where the second labels of a corpus lie, if it has any."""
    return data / f"{corpus}_second_labels.csv"


def read_second_labels(data: Path, corpus: str, sources: Sequence[str]) -> list[str]:
    """
    The second label of each image, a name of LABELS, in the order of `sources`.

    Raises CorpusError if there is no such table, if it is not whole, or if it does not fit the corpus: an image
    without a row, two rows for one image, another folder than the image's, a label that is none of LABELS.
    """
    path = second_labels_of(data, corpus)
    if not path.is_file():
        raise CorpusError(f"{corpus} has no second labels here: expected {path.name} beside it in {data.name}")
    try:
        table = pd.read_csv(path, dtype=str)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path.name} is not a whole CSV file ({error})") from None
    if list(table.columns) != COLUMNS:
        raise CorpusError(f"{path.name} should have the columns {COLUMNS}; got {list(table.columns)}")
    names = table["second"].map(lambda name: NAMES.get(name, name))
    checks = {
        "stand there twice": table["source"].duplicated(),
        f"have a label that is none of {', '.join(LABELS)}": ~names.isin(LABELS),
        "name another folder than the image's": table["source"].str.split("/").str[-2] != table["folder"],
    }
    for what, faulty in checks.items():
        if faulty.any():
            raise CorpusError(f"{path.name}: {faulty.sum()} rows {what}, the first is line {faulty.idxmax() + 2}")
    second = dict(zip(table["source"], names, strict=True))
    missing = [source for source in sources if source not in second]
    if missing:
        raise CorpusError(f"{path.name}: {len(missing)} images of {corpus} have no row, such as {missing[0]}")
    return [second[source] for source in sources]
