"""The Kaggle selection of AffectNet (Mollahosseini et al. 2017) and FFHQ: class folders, no official split."""

from collections.abc import Iterator

from ..files import CorpusFiles
from ..schema import Entry, Problem
from .folders import read_class_folders


def read(files: CorpusFiles) -> Iterator[Entry | Problem]:
    """Entries of `CLASS/image0000006.jpg` and `CLASS/ffhq_12.jpg`."""
    return read_class_folders(files)


def from_ffhq(source: str) -> bool:
    """Whether an image of this copy comes from FFHQ, sharp and aligned by one pipeline, rather than from AffectNet."""
    return source.rsplit("/", 1)[-1].startswith("ffhq_")
