"""
"Facial expressions" of muxspace (GitHub, Apache-2.0): news photos and films, loosely cropped, labelled by students.

    images/Aaron_Eckhart_0001.jpg + data/legend.csv (user.id,image,emotion)
"""

import re
from collections import Counter
from collections.abc import Iterator
from functools import partial

from ..files import CorpusFiles
from ..schema import Entry, Problem
from .folders import image_names

TABLE = "legend.csv"
# The other classes, 751 of 12,792 images, are left out: most "surprise" is people who shout or speak, and a network
# that saw none of them (gimefive-7) agrees on 37 % of it, 64 % of "sadness" and 71 % of "anger". See training/LOG.md.
SOUND = ("neutral", "happiness")
SUBJECT = re.compile(r"(.+)_\d+\.")


def read(files: CorpusFiles) -> Iterator[Entry | Problem]:
    """Entries of the `SOUND` classes, in the order of the files; the subject is the person in the file's name."""
    table = files.named(TABLE)
    if table is None:
        yield Problem(TABLE, "the corpus's table is not here, so no image has a label")
        return
    labels: dict[str, str] = {}
    for number, row in enumerate(files.rows(table), 2):
        if not row.get("image") or not row.get("emotion"):
            yield Problem(f"{table}#{number}", "expected user.id, image and emotion")
            continue
        labels[row["image"]] = row["emotion"].strip().lower()
    others: Counter[str] = Counter()
    for name in image_names(files, (TABLE,)):
        if isinstance(name, Problem):
            yield name
            continue
        label = labels.pop(name.rsplit("/", 1)[-1], None)
        if label is None:
            yield Problem(name, f"{TABLE} has no row for it")
        elif label not in SOUND:
            others[label] += 1
        else:
            match = SUBJECT.match(name.rsplit("/", 1)[-1])
            yield Entry(name, label, partial(files.read, name), subject=match.group(1) if match else None)
    for image in labels:
        yield Problem(f"{table}#{image}", "the table's row has no image")
    if others:
        counts = ", ".join(f"{count} {label}" for label, count in others.most_common())
        yield Problem(TABLE, f"only {' and '.join(SOUND)} are read; left out as not soundly labelled: {counts}")
