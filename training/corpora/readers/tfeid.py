"""TFEID (Chen & Yen 2007): posed faces in class folders, `anger/f01_dfh_ax.jpg`, subject f01."""

import re
from collections.abc import Iterator

from ..files import CorpusFiles
from ..schema import Entry, Problem
from .folders import read_class_folders

SUBJECT = re.compile(r"([fm]\d+)_")


def read(files: CorpusFiles) -> Iterator[Entry | Problem]:
    """Entries of `CLASS/SUBJECT_….jpg`; the class folders have the names of our labels."""
    return read_class_folders(files, subject=SUBJECT)
