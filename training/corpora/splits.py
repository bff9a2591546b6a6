"""
The fixed splits: which image is for training, which for model selection, which for testing.

Corpora that come with a test split keep it. The others give `TEST_SHARE` of their images to one, and every training
split gives `VALIDATION_SHARE` to a validation part, the only one that model selection may look at. The rule is seeded
and stratified by class; where subjects are known, a subject is in one split only, also across the two copies of CK+.
Images with the same pixels stay together, and none that stands in a test split goes to a validation part.

An image that no list names (another copy of a corpus, a new corpus) gets its split from `SplitList.by_rule`, which
needs nothing but the image's own subject or pixels.
"""

import csv
import hashlib
import re
from pathlib import Path

from evaluation.corpora import CORPORA

TEST_SHARE = 0.20
VALIDATION_SHARE = 0.06
SPLITS_DIR = Path(__file__).parent / "split_lists"


class SplitList:
    """
    The committed list of one corpus, looked up by path, by the end of a path, or by subject.

    Args:
        corpus: name of the corpus; one without a list is fine.
        group: name of the group of corpora that share their subjects, as in its record, or None.
        folder: where the lists are.

    Attributes:
        sources: the listed paths.
        digest: of all that the answers depend on.
    """

    def __init__(self, corpus: str, group: str | None = None, folder: Path = SPLITS_DIR):
        self.corpus, self.group = corpus, group
        self._by_source = read_list(folder / f"{corpus}.csv")
        self.sources = self._by_source.keys()
        self._by_end: dict[str, str | None] = {}  # None: two listed images end like this
        for source in self.sources:
            for end in path_ends(source):
                self._by_end[end] = source if end not in self._by_end else None
        self._by_subject: dict[str, str] = {}
        for other in CORPORA.values() if group else ():
            if other.subjects == group and other.subject_pattern:
                table = read_list(folder / f"{other.name}.csv")
                self._by_subject |= {subject_of(s, other.subject_pattern): split for s, split in table.items()}
        rows = sorted([*self._by_source.items(), *self._by_subject.items()])
        self.digest = hashlib.sha256(repr((rows, group, TEST_SHARE, VALIDATION_SHARE)).encode()).hexdigest()

    def listed_source(self, source: str) -> str | None:
        """The listed path that is this image: the same path, or the only one with the same folder and name."""
        if source in self._by_source:
            return source
        return next((found for end in path_ends(source) if (found := self._by_end.get(end))), None)

    def find(self, source: str, official: str | None, subject: str | None) -> str | None:
        """
        The split of an image, without looking at it; None if neither the corpus, nor the list, nor a subject tells.

        `official` is the corpus's own split: "test" stands, "train" is divided by the list into train and validation.
        """
        if official == "test":
            return "test"
        listed = self._by_source.get(self.listed_source(source) or "")
        if listed and not (official == "train" and listed == "test"):
            return listed
        if subject is not None and official is None:
            return self._by_subject.get(subject) or self.by_rule(subject, None)
        return None

    def could_be(self, split: str, source: str, official: str | None, subject: str | None) -> bool:
        """Whether an image may be in `split`, as far as can be told without looking at it."""
        known = self.find(source, official, subject)
        return known == split or (known is None and not (official == "train" and split == "test"))

    def by_rule(self, unit: str, official: str | None) -> str:
        """
        The split of an unlisted unit, a subject or the hash of an image's pixels: a seeded draw that depends on nothing
        else, so that it holds for a stream, and equal images fall together. Shares are met on average.
        """
        if official == "test":
            return "test"
        draw = int.from_bytes(hashlib.sha256(f"{self.group or self.corpus}/{unit}".encode()).digest()[:8]) / 2**64
        if draw < VALIDATION_SHARE:
            return "validation"
        return "test" if official is None and draw < VALIDATION_SHARE + TEST_SHARE else "train"


def read_list(path: Path) -> dict[str, str]:
    """source → split of one committed list; empty if there is none."""
    if not path.is_file():
        return {}
    with open(path, newline="") as file:
        return {row["source"]: row["split"] for row in csv.DictReader(file)}


def path_ends(source: str) -> list[str]:
    """The ends by which copies of a corpus recognise an image: class folder and name, then the name alone."""
    parts = source.split("/")
    return ["/".join(parts[-2:]), parts[-1]]


def subject_of(source: str, pattern: str) -> str:
    """The subject in a file's name; `ValueError` if the name has none."""
    match = re.match(pattern, source.rsplit("/", 1)[-1])
    if match is None:
        raise ValueError(f"{source}: no subject in the name; expected it to begin like {pattern}")
    return match.group(1)
