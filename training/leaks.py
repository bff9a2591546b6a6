"""Test images that a training split gives away: the list by which every result gets its leak-free twin."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from .duplicates import LEAK, LEAK_MIRRORED, Fingerprints, mirrored, twins


@dataclass(slots=True)
class Leak:
    """
    A test image and its closest twin.

    `kind` is "exact" (same pixels), "near" (correlation above LEAK) or "mirrored" (above LEAK_MIRRORED, mirrored);
    `hash_distance` is that of the perceptual hashes, 0–64 bits; `same_label` compares the two labels.
    """

    corpus: str
    source: str
    kind: str
    twin_corpus: str
    twin_split: str
    twin: str
    correlation: float
    hash_distance: int
    same_label: bool


def find_leaks(test: Fingerprints, others: Iterable[Fingerprints]) -> list[Leak]:
    """The closest twin of each image of `test` in any of `others`; images without one are not in the list."""
    rank = {"exact": 2, "near": 1, "mirrored": 0}
    best: dict[str, Leak] = {}
    for other in others:
        for candidate in (other, mirrored(other)):
            flipped = candidate is not other
            for twin in twins(test, candidate, LEAK_MIRRORED if flipped else LEAK):
                leak = Leak(
                    test.corpus,
                    test.sources[twin.first],
                    "mirrored" if flipped else "exact" if twin.exact else "near",
                    other.corpus,
                    other.split,
                    other.sources[twin.second],
                    round(twin.correlation, 4),
                    twin.distance,
                    bool(test.labels[twin.first] == other.labels[twin.second]),
                )
                known = best.get(leak.source)
                if known is None or (rank[leak.kind], leak.correlation) > (rank[known.kind], known.correlation):
                    best[leak.source] = leak
    return [best[source] for source in sorted(best)]


def write_leaks(path: Path, leaks: Sequence[Leak]) -> None:
    """A CSV with the columns of `Leak`."""
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Leak)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(leak) for leak in leaks)
