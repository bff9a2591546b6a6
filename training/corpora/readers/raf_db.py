"""
RAF-DB (Li, Deng & Du 2017): Kaggle's numbered folders, or the authors' partition list with `aligned/`.

    DATASET/{train,test}/{1..7}/train_00001_aligned.jpg + {train,test}_labels.csv (image,label)
    basic/EmoLabel/list_patition_label.txt (train_00001.jpg 5) + basic/Image/aligned/train_00001_aligned.jpg
"""

from collections.abc import Iterator
from functools import partial

from ..files import CorpusFiles
from ..schema import Entry, Problem
from .folders import image_names, read_class_folders

CODES = dict(zip("1234567", ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"), strict=True))
LISTS = ("list_patition_label.txt", "list_partition_label.txt")  # the authors' spelling, and the mended one
TABLES = ("train_labels.csv", "test_labels.csv")


def read(files: CorpusFiles) -> Iterator[Entry | Problem]:
    """Entries of either layout; which one is told by the authors' list."""
    listing = files.named(*LISTS)
    return read_list(files, listing) if listing else read_folders(files)


def read_folders(files: CorpusFiles) -> Iterator[Entry | Problem]:
    """Kaggle's layout. An image whose folder and table row disagree is left out: nobody can tell which is right."""
    tables = [name for name in files.names if name.rsplit("/", 1)[-1] in TABLES]
    rows = {row["image"]: (row["label"], table) for table in tables for row in files.rows(table)}
    seen = set()
    for item in read_class_folders(files, CODES, official=True, known=TABLES):
        if isinstance(item, Entry):
            folder, file = item.source.split("/")[-2:]
            seen.add(file)
            code, table = rows.get(file, (None, None))
            if tables and code is None:
                yield Problem(item.source, "no row in the tables of labels", left_out=False)
            elif tables and code != folder:
                yield Problem(item.source, f"folder {folder}, but label {code} in {table}")
                continue
        yield item
    for file, (_, table) in rows.items():
        if file not in seen:
            yield Problem(f"{table}#{file}", "the table's row has no image")


def read_list(files: CorpusFiles, listing: str) -> Iterator[Entry | Problem]:
    """The authors' layout: one line per image, `train_00001.jpg 5`, images as `aligned/train_00001_aligned.jpg`."""
    images = {}
    for name in image_names(files, LISTS):
        if isinstance(name, Problem):
            yield name
        elif "/aligned/" in f"/{name}":
            images[name.rsplit("/", 1)[-1]] = name
    if not images:
        yield Problem(listing, "no folder aligned/ beside the list: only the aligned crops are read")
    with files.open(listing) as lines:
        for number, line in enumerate(lines, 1):
            words = line.decode("utf-8", "replace").split()
            where = f"{listing}#{number}"
            if not words:
                continue
            split = words[0].split("_")[0]
            if len(words) != 2 or words[1] not in CODES or split not in ("train", "test"):
                yield Problem(where, "expected a line like 'train_00001.jpg 5' with a code of 1 to 7")
                continue
            source = images.pop(words[0].rsplit(".", 1)[0] + "_aligned.jpg", None)
            if source is None:
                yield Problem(where, f"no aligned image for {words[0]}")
            else:
                yield Entry(source, CODES[words[1]], partial(files.read, source), split)
    for source in images.values():
        yield Problem(source, "no line in the list of labels")
