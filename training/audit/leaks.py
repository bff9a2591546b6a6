"""Test images that a training split gives away: the list by which every result gets its leak-free twin."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd

from .duplicates import (
    ALIGNED,
    CANDIDATE,
    LEAK,
    LEAK_MIRRORED,
    Fingerprints,
    Twin,
    aligned_correlation,
    mirrored,
    twins,
)

KINDS = ("mirrored", "shifted", "near", "exact")  # the strongest last


@dataclass(slots=True)
class Leak:
    """
    A test image and its closest twin.

    `kind` is "exact" (same pixels), "near" (thumbnails correlate above LEAK), "shifted" (above CANDIDATE, and the
    images above ALIGNED once aligned) or "mirrored" (above LEAK_MIRRORED, mirrored). `correlation` is that of the
    thumbnails, `hash_distance` that of the perceptual hashes, 0–64 bits; `same_label` compares the two labels.
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
    best: dict[str, Leak] = {}
    for other in others:
        flipped = mirrored(other)
        found = [(twin, kind_of(twin, test, other)) for twin in twins(test, other, CANDIDATE)]
        found += [(twin, "mirrored") for twin in twins(test, flipped, LEAK_MIRRORED)]
        for twin, kind in found:
            if kind is None:
                continue
            leak = Leak(
                test.corpus,
                test.sources[twin.first],
                kind,
                other.corpus,
                other.split,
                other.sources[twin.second],
                round(twin.correlation, 4),
                twin.distance,
                bool(test.labels[twin.first] == other.labels[twin.second]),
            )
            known = best.get(leak.source)
            if known is None or strength(leak) > strength(known):
                best[leak.source] = leak
    return [best[source] for source in sorted(best)]


def kind_of(twin: Twin, test: Fingerprints, other: Fingerprints) -> str | None:
    """Which kind of leak a pair is; None for two images that only look alike."""
    if twin.exact:
        return "exact"
    if twin.correlation > LEAK:
        return "near"
    aligned = aligned_correlation(test.greys[twin.first], other.greys[twin.second])
    return "shifted" if aligned > ALIGNED else None


def strength(leak: Leak) -> tuple[int, float]:
    """Of two twins the list names the one with the greater strength."""
    return KINDS.index(leak.kind), leak.correlation


def write_leaks(path: Path, leaks: Sequence[Leak]) -> None:
    """A CSV with the columns of `Leak`."""
    columns = [field.name for field in fields(Leak)]
    pd.DataFrame(leaks, columns=columns).to_csv(path, index=False, lineterminator="\n")
