"""
FER2013 (Goodfellow et al. 2013) with FER+ votes (Barsoum et al. 2016).

    {train,test}/{angry,…}/Training_123.jpg + ferplus_votes.csv (file, one column per option)
    fer2013.csv (emotion,pixels,Usage) + fer2013new.csv, Microsoft's, which goes with it row by row
"""

from collections.abc import Iterator
from functools import partial
from itertools import chain, repeat

import numpy as np

from ..files import CorpusFiles
from ..schema import VOTES, Entry, Problem, encode_png
from .folders import read_class_folders

CODES = dict(enumerate(("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")))
USAGE = {"Training": "train", "PublicTest": "test", "PrivateTest": "test"}
SIDE = 48
ROWS = 35_887  # of the whole fer2013.csv
TABLES = ("fer2013.csv", "ferplus_votes.csv", "fer2013new.csv")


def read(files: CorpusFiles) -> Iterator[Entry | Problem]:
    """Entries of either layout; which one is told by `fer2013.csv`."""
    table = files.named("fer2013.csv")
    return read_table(files, table) if table else read_folders(files)


def votes_of(row: dict[str, str]) -> list[int]:
    """FER+ counts of one row in the order of VOTES; `KeyError` or `ValueError` if the row has not all ten numbers."""
    return [int(row[name] or "") for name in VOTES]


def read_folders(files: CorpusFiles) -> Iterator[Entry | Problem]:
    """Kaggle's layout. FER+ leaves a few images without votes; those keep `votes=None`."""
    table, votes = files.named("ferplus_votes.csv"), {}
    if files.named("fer2013new.csv"):
        yield Problem("fer2013new.csv", "goes with the rows of fer2013.csv, which is not here; its votes are not used")
    for number, row in enumerate(files.rows(table) if table else (), 2):
        try:
            votes[row["file"]] = votes_of(row)
        except (KeyError, ValueError):
            yield Problem(f"{table}#{number}", f"expected file and the ten counts {', '.join(VOTES)}")
    for item in read_class_folders(files, official=True, known=TABLES):
        if isinstance(item, Entry):
            item.votes = votes.pop("/".join(item.source.split("/")[-3:]), None)
        yield item
    for file in votes:
        yield Problem(f"{table}#{file}", "the table's row has no image")


def read_table(files: CorpusFiles, table: str) -> Iterator[Entry | Problem]:
    """The original CSV. Rows are read one at a time, so that a table of any size takes the same memory."""
    plus = files.named("fer2013new.csv")
    for name in files.names:
        if name not in (table, plus):
            yield Problem(name, "not read: fer2013.csv is the corpus here")
    plus_rows = chain(files.rows(plus), repeat(None)) if plus else repeat({})
    number = 0
    for number, (row, extra) in enumerate(zip(files.rows(table), plus_rows, strict=False), 1):
        source = f"{table}#{number}"
        label = CODES.get(int(row["emotion"])) if (row.get("emotion") or "").isdigit() else None
        split = USAGE.get(row.get("Usage") or "")
        if label is None or split is None:
            yield Problem(source, f"expected an emotion of 0 to 6 and a Usage of {', '.join(USAGE)}")
            continue
        votes = None
        if extra is None:
            yield Problem(source, f"{plus} ends before this row; no votes", left_out=False)
        elif extra and extra.get("Usage") != row["Usage"]:
            yield Problem(source, f"{plus} has Usage {extra.get('Usage')!r} here: not the same order; no votes", False)
        elif extra:
            try:
                votes = votes_of(extra)
            except (KeyError, ValueError):
                yield Problem(f"{plus}#{number}", f"expected the ten counts {', '.join(VOTES)}; no votes", False)
        yield Entry(source, label, partial(png_of_pixels, row.get("pixels") or ""), split, votes=votes)
    if number != ROWS:
        yield Problem(table, f"{number:,} rows are here; FER2013 has {ROWS:,}", left_out=False)
    if plus and next(plus_rows) is not None:
        yield Problem(plus, f"has more rows than the {number} of {table}", left_out=False)


def png_of_pixels(text: str) -> bytes:
    """48×48 grey values as decimal numbers with spaces between → a PNG file; `OSError` if they are not 2,304."""
    try:
        values = np.array(text.split(), dtype=np.int64)
    except ValueError as error:
        raise OSError("pixels are not all whole numbers") from error
    if len(values) != SIDE * SIDE or values.min() < 0 or values.max() > 255:
        raise OSError(f"expected {SIDE * SIDE} pixels of 0 to 255, got {len(values)} numbers")
    return encode_png(values.astype(np.uint8).reshape(SIDE, SIDE))
