"""
CK+ (Lucey et al. 2010): CK+48's crops, the GiMeFive paper's frames, or the original tree.

    CK+48/{anger,…}/S010_004_00000017.png                   three last frames of each labelled sequence
    {anger,…}/S010_004_00000019.jpg                         the paper's: the last frame, uncropped
    cohn-kanade-images/S010/004/S010_004_00000019.png       whole sequences, from neutral to the peak, with
    Emotion/S010/004/S010_004_00000019_emotion.txt          a code for the labelled ones ("   1.0000000e+00")
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath

from ..files import IMAGE_SUFFIXES, CorpusFiles
from ..schema import Entry, Problem
from .folders import read_class_folders

SUBJECT = re.compile(r"(S\d+)_")
CODES = dict(enumerate(("neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")))
PEAK_FRAMES = 3  # as in CK+48
LABELLED = 327  # of CK+'s 593 sequences


def read(files: CorpusFiles) -> Iterator[Entry | Problem]:
    """Entries of class folders or, if there is a folder `cohn-kanade-images`, of the original tree."""
    if any("cohn-kanade-images" in name for name in files.names):
        return read_tree(files)
    return read_class_folders(files, subject=SUBJECT)


def read_tree(files: CorpusFiles) -> Iterator[Entry | Problem]:
    """The last three frames of every sequence that has an emotion file."""
    frames: dict[str, list[str]] = defaultdict(list)
    emotions: dict[str, str] = {}
    for name in files.names:
        sequence = PurePosixPath(name).name.rsplit("_", 1)[0]
        if name.lower().endswith(IMAGE_SUFFIXES) and "cohn-kanade-images" in name:
            frames[sequence].append(name)
        elif name.endswith("_emotion.txt"):
            emotions[sequence.rsplit("_", 1)[0]] = name
        elif not re.search(r"(^|/)(Landmarks|FACS)/|_(landmarks|facs)\.txt$", name):
            yield Problem(name, "neither a frame nor an emotion file of CK+")
    if len(emotions) != LABELLED:
        yield Problem("Emotion", f"{len(emotions)} labelled sequences are here; CK+ has {LABELLED}", left_out=False)
    for sequence, name in sorted(emotions.items()):
        text = files.read(name).decode("ascii", "replace").strip()
        try:
            label = CODES[int(float(text))]
        except (KeyError, ValueError):
            yield Problem(name, f"expected a code of 0 to 7, got {text[:20]!r}")
            continue
        if sequence not in frames:
            yield Problem(name, "no frames for this emotion file")
        for source in sorted(frames.pop(sequence, ()))[-PEAK_FRAMES:]:
            yield Entry(source, label, partial(files.read, source), subject=sequence.split("_")[0])
