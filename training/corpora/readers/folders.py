"""What the readers of class folders share."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from functools import partial

from ..files import IMAGE_SUFFIXES, CorpusFiles
from ..schema import LABELS, Entry, Problem

# What folders of a class are called, here and there.
NAMES = {name: name for name in LABELS} | {
    **{"happy": "happiness", "surprised": "surprise", "sad": "sadness", "angry": "anger", "disgusted": "disgust"},
    **{"fearful": "fear", "afraid": "fear", "scared": "fear"},
}


def image_names(files: CorpusFiles, known: Collection[str] = ()) -> Iterator[str | Problem]:
    """Paths of image files. Every other file is a problem, unless its basename is in `known` (the corpus's tables)."""
    for name in files.names:
        if name.lower().endswith(IMAGE_SUFFIXES):
            yield name
        elif name.rsplit("/", 1)[-1] not in known:
            yield Problem(name, "neither an image nor a table of this corpus")


def read_class_folders(
    files: CorpusFiles,
    labels: Mapping[str, str] = NAMES,
    official: bool = False,
    subject: re.Pattern | None = None,
    known: Collection[str] = (),
) -> Iterator[Entry | Problem]:
    """
    Entries of `…/CLASS/FILE`, or of `…/{train,test}/CLASS/FILE` where the corpus has an official split.

    Args:
        files: the corpus.
        labels: class folder → label name.
        official: whether the folder above the class folder must be `train` or `test`.
        subject: pattern whose first group, at the start of the file's name, is the subject.
        known: basenames of tables that belong to the corpus.
    """
    unknown: Counter[str] = Counter()
    for name in image_names(files, known):
        if isinstance(name, Problem):
            yield name
            continue
        *folders, file = name.split("/")
        split = folders[-2] if official and len(folders) > 1 else None
        if not folders or folders[-1] not in labels:
            unknown["/".join(folders)] += 1
        elif official and split not in ("train", "test"):
            yield Problem(name, "expected the class folder in a folder train or test")
        else:
            match = subject.match(file) if subject else None
            if subject and not match:
                yield Problem(
                    name, f"no subject in the file's name; expected it to begin like {subject.pattern}", False
                )
            who = match.group(1) if match else None
            yield Entry(name, labels[folders[-1]], partial(files.read, name), split, who)
    expected = ", ".join(sorted(labels))
    for folder, count in sorted(unknown.items()):
        yield Problem(folder or ".", f"unknown class folder, {count} image(s) in it; expected one of {expected}")
