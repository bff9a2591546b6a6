"""
The GiMeFive paper's own folders: `{train,test,valid}/img1_anger.jpg` with `{train,test,valid}_labels.csv`.

The tables have no header: file name, code. Its `valid/` consists of test images of RAF-DB saved again, so here it is
a test split of its own name, `gimefive-valid`, and never anybody's validation part.
"""

from collections.abc import Iterator
from functools import partial

from gimefive_hf.emotions import EMOTIONS

from ..files import CorpusFiles
from ..schema import Entry, Problem
from .folders import image_names

CODES = {str(code): name for code, name in enumerate(("happiness", "surprise", "sadness", "anger", "disgust", "fear"))}
TABLES = ("train_labels.csv", "test_labels.csv", "valid_labels.csv")


def read_valid(files: CorpusFiles) -> Iterator[Entry | Problem]:
    """Entries of `valid/`, all of them for testing."""
    return read_parts(files, {"valid": "test"}, others=("train", "test"))


def read_train_test(files: CorpusFiles) -> Iterator[Entry | Problem]:
    """Entries of `train/` and `test/`."""
    return read_parts(files, {"train": "train", "test": "test"}, others=("valid",))


def read_parts(files: CorpusFiles, parts: dict[str, str], others: tuple[str, ...]) -> Iterator[Entry | Problem]:
    """Entries of the folders named in `parts` (folder → split); those of `others` belong to another corpus of ours."""
    codes, images = {}, {}
    for name in image_names(files, TABLES):
        if isinstance(name, Problem):
            yield name
            continue
        folder, file = name.split("/")[-2:] if "/" in name else ("", name)
        if folder in parts:
            images[folder, file] = name
        elif folder not in others:
            yield Problem(name, f"expected the image in a folder {' or '.join((*parts, *others))}")
    for folder in parts:
        table = files.named(f"{folder}_labels.csv")
        if table is None:
            yield Problem(folder, f"no {folder}_labels.csv: the images of this folder have no labels")
            continue
        for number, row in enumerate(files.rows(table, ("image", "label")), 1):
            if (row["image"], row["label"]) == ("image", "label"):
                continue
            if row["label"] not in CODES:
                yield Problem(f"{table}#{number}", f"expected a code of 0 to 5, got {row['label']!r}")
            elif (folder, row["image"]) not in images:
                yield Problem(f"{table}#{number}", f"the table's row has no image {folder}/{row['image']}")
            else:
                codes[folder, row["image"]] = row["label"]
    for (folder, file), source in images.items():
        code = codes.get((folder, file))
        named = file.rsplit(".", 1)[0].rsplit("_", 1)[-1]
        if code is None:
            yield Problem(source, f"no row in {folder}_labels.csv")
        elif named in EMOTIONS and named != CODES[code]:
            yield Problem(source, f"the name says {named}, the table {CODES[code]}")
        else:
            yield Entry(source, CODES[code], partial(files.read, source), parts[folder])
