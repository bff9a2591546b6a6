"""
What a face would be called without a part of it: the part is covered with the skin's colour and the face scored again.

A heat map says where the network looked; this measures what it would have said otherwise. A covered face is no natural
picture, so a drop says that the part was used, not that nothing else would have done.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .regions import REGIONS, region_map

# Parts that carry expressions and leave a face when they are covered. Order: from the top of the face.
PARTS: tuple[str, ...] = ("brows", "eyes", "nose", "mouth")
EDGE = 0.02  # the cover fades out over this share of the crop's side, so that it has no edge of its own


@dataclass(frozen=True)
class Covered:
    """
    A crop with one part covered, and what the network says of it.

    Attributes:
        part: one of `REGIONS`.
        crop: uint8 RGB, of the size of the crop.
        scores: float32 (classes,), probabilities in the order of the network's classes.
    """

    part: str
    crop: NDArray[np.uint8]
    scores: NDArray[np.float32]


def paint(crop: NDArray[np.uint8], regions: NDArray[np.uint8], part: str) -> NDArray[np.uint8]:
    """The crop with one part of its `region_map`, a part that is in it, under the mean colour of the cheeks."""
    mask = (regions == REGIONS.index(part)).astype(np.float32)
    cheeks = regions == REGIONS.index("cheeks")
    skin = crop[cheeks if cheeks.any() else mask == 0].mean(0)
    mask = cv2.GaussianBlur(mask, (0, 0), max(EDGE * max(mask.shape), 0.5))[..., None]
    return np.rint(mask * skin + (1 - mask) * crop).astype(np.uint8)


def cover_parts(
    crop: NDArray[np.uint8],
    landmarks: NDArray[np.float32],
    score_crops: Callable[[Sequence[NDArray[np.uint8]]], NDArray[np.float32]],
    parts: Sequence[str] = PARTS,
) -> list[Covered]:
    """
    The crop with each of the parts covered in turn, scored in one batch.

    Args:
        crop: uint8 RGB (height, width, 3).
        landmarks: float (68, 2) in pixels of the crop, as of `FaceCrop.to_crop` or `crop_landmarks`.
        score_crops: uint8 RGB crops → probabilities (n, classes), such as `ExpressionRecognizer.score_crops`.
        parts: names out of `REGIONS`; those that lie outside the crop are left out of the answer.

    Raises:
        ValueError: for an unknown part.
    """
    unknown = [part for part in parts if part not in REGIONS or part == "background"]
    if unknown:
        raise ValueError(f"parts must be some of {', '.join(REGIONS[:-1])}; got {', '.join(unknown)}")
    regions = region_map(landmarks, crop.shape[:2])
    inside = [part for part in parts if (regions == REGIONS.index(part)).any()]
    crops = [paint(crop, regions, part) for part in inside]
    scores = score_crops(crops)
    return [Covered(*one) for one in zip(inside, crops, scores, strict=True)]
