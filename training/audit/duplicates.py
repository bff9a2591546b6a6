"""
Images that stand twice: exact, by the hash of their pixels, and near, by the correlation of small grey thumbnails.

A thumbnail is 16×16 block means of the grey image, its mean taken off and its length made 1, so that the product of
two is their correlation: blind to brightness, contrast, size and compression. `imagehash`'s perceptual hash serves as
a second opinion, of another construction. How often pairs above a correlation are the same photograph was judged by
eye: `results/near_duplicates_judged.csv`.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import datasets
import imagehash
import numpy as np
from PIL import Image

from ..corpora.load import label_array
from ..corpora.schema import decode

THUMBNAIL = 16  # pixels a side
SIDE = 48  # pixels a side of the images for the aligned comparison
CORE = 36  # pixels a side of the middle part that is looked for in the other image
CORE_SIZES = (32, 34, 36, 38, 40)  # pixels a side to which it is resized, ±11 %
NEAR = 0.98  # correlation above which the counts of the literature and of this project call two images near duplicates
CANDIDATE = 0.80  # correlation from which a pair is worth the slower aligned comparison
ALIGNED = 0.92  # aligned correlation above which a candidate counts as leaked: the same photograph, cropped differently
LEAK = 0.95  # correlation above which a test image counts as leaked: of 180 pairs looked at, all were one photograph
LEAK_MIRRORED = 0.96  # the same for a mirrored twin: all 8 were
BLOCK = 1024  # rows of the similarity matrix that are in memory at once


@dataclass
class Fingerprints:
    """
    What the search needs of one split, in the order of its dataset.

    Attributes:
        corpus, split: names.
        sources: n paths.
        labels: int64 (n,), -1 where there is none.
        sha256: n hashes of the pixels.
        thumbnails: float32 (n, 256), rows of length 1, or 0 for an image of one grey.
        hashes: uint64 (n,), `imagehash.phash`.
        greys: uint8 (n, 48, 48).
    """

    corpus: str
    split: str
    sources: list[str]
    labels: np.ndarray
    sha256: list[str]
    thumbnails: np.ndarray
    hashes: np.ndarray
    greys: np.ndarray

    @property
    def key(self) -> str:
        return f"{self.corpus}/{self.split}"

    def __len__(self) -> int:
        return len(self.sources)


@dataclass(slots=True)
class Twin:
    """The closest image of another (or the same) split: indices, correlation in [-1, 1], Hamming distance 0–64."""

    first: int
    second: int
    correlation: float
    distance: int
    exact: bool


def thumbnail(grey: Image.Image) -> np.ndarray:
    """Normalised block means, float32 (256,), of a grey image of any size."""
    values = np.asarray(grey.convert("F").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX), np.float32).ravel()
    values = values - values.mean()
    length = float(np.linalg.norm(values))
    return values / length if length > 1e-3 else np.zeros_like(values)


def phash(grey: Image.Image) -> np.uint64:
    """The 64 bits of `imagehash.phash` as one number."""
    return np.packbits(imagehash.phash(grey).hash.ravel()).view(">u8")[0].astype(np.uint64)


def fingerprint(dataset: datasets.Dataset, corpus: str, split: str) -> Fingerprints:
    """Decode one split of `load_corpus` once."""
    thumbnails = np.empty((len(dataset), THUMBNAIL**2), np.float32)
    hashes = np.empty(len(dataset), np.uint64)
    greys = np.empty((len(dataset), SIDE, SIDE), np.uint8)
    first = 0
    for table in dataset.with_format("arrow").iter(batch_size=1000):
        for data in table["image"].combine_chunks().field("bytes").to_pylist():
            grey = decode(data).convert("L")
            thumbnails[first], hashes[first] = thumbnail(grey), phash(grey)
            greys[first] = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
            first += 1
    sources, sha256 = dataset["source"][:], dataset["sha256"][:]
    return Fingerprints(corpus, split, sources, label_array(dataset), sha256, thumbnails, hashes, greys)


def twins(first: Fingerprints, second: Fingerprints, threshold: float = NEAR) -> Iterator[Twin]:
    """
    For every image of `first` its closest one in `second`, if that has the same pixels or correlates above `threshold`.

    Of a split with itself, the closest other image.
    """
    same = first.key == second.key
    positions = defaultdict(list)
    for index, digest in enumerate(second.sha256):
        positions[digest].append(index)
    for start in range(0, len(first), BLOCK):
        block = first.thumbnails[start : start + BLOCK] @ second.thumbnails.T
        if same:
            block[np.arange(len(block)), np.arange(start, start + len(block))] = -1
        closest = block.argmax(1)
        for row, column in enumerate(closest.tolist()):
            index = start + row
            equal = [other for other in positions[first.sha256[index]] if not (same and other == index)]
            correlation = float(block[row, column])
            if equal:
                column, correlation = equal[0], 1.0
            if equal or correlation > threshold:
                distance = int(np.bitwise_count(first.hashes[index] ^ second.hashes[column]))
                yield Twin(index, column, correlation, distance, bool(equal))


def mirrored(prints: Fingerprints) -> Fingerprints:
    """The same images mirrored, as far as `twins` looks at them; their pixels equal nobody's."""
    flipped = prints.thumbnails.reshape(-1, THUMBNAIL, THUMBNAIL)[:, :, ::-1].reshape(len(prints), -1)
    return replace(prints, thumbnails=np.ascontiguousarray(flipped), sha256=[""] * len(prints))


def aligned_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """
    Greatest correlation of the middle of one image with any place of the other, at five sizes, in [-1, 1]: high for one
    photograph cropped in two ways. Both uint8 (48, 48) grey.
    """
    edge, best = (SIDE - CORE) // 2, -1.0
    for part, whole in ((first, second), (second, first)):
        core = part[edge:-edge, edge:-edge]
        for size in CORE_SIZES:
            shrinks = size < CORE
            resized = cv2.resize(core, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
            best = max(best, float(cv2.matchTemplate(whole, resized, cv2.TM_CCOEFF_NORMED).max()))
    return best


def hash_twins(first: Fingerprints, second: Fingerprints, distance: int) -> int:
    """How many images of `first` have one in `second` whose perceptual hash differs in at most `distance` bits."""
    found = 0
    for start in range(0, len(first), BLOCK // 4):
        block = np.bitwise_count(first.hashes[start : start + BLOCK // 4, None] ^ second.hashes[None])
        found += int((block.min(1) <= distance).sum())
    return found


def conflicts(splits: Sequence[Fingerprints], classes: int) -> list[list[tuple[str, str, int]]]:
    """Groups of images with the same pixels and more than one of the first `classes` labels: (split, source, label)."""
    groups: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
    for part in splits:
        for source, label, digest in zip(part.sources, part.labels.tolist(), part.sha256, strict=True):
            if 0 <= label < classes:
                groups[digest].append((part.key, source, label))
    return [group for group in groups.values() if len({label for _, _, label in group}) > 1]
