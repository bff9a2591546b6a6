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


def cover(crop: NDArray[np.uint8], landmarks: NDArray[np.float32], part: str) -> NDArray[np.uint8]:
    """
    The crop with one part under the mean colour of the cheeks.

    Args:
        crop: uint8 RGB (height, width, 3).
        landmarks: float (68, 2), x and y in pixels of the crop.
        part: one of `REGIONS`, background excepted.

    Raises:
        ValueError: for an unknown part, or one that lies outside the crop.
    """
    if part not in REGIONS or part == "background":
        raise ValueError(f"part must be one of {', '.join(REGIONS[:-1])}; got {part!r}")
    regions = region_map(landmarks, crop.shape[:2])
    mask = (regions == REGIONS.index(part)).astype(np.float32)
    if not mask.any():
        raise ValueError(f"the {part} lie outside the crop, so they cannot be covered")
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
    """
    regions = region_map(landmarks, crop.shape[:2])
    inside = [part for part in parts if part not in REGIONS or (regions == REGIONS.index(part)).any()]
    crops = [cover(crop, landmarks, part) for part in inside]
    scores = score_crops(crops)
    return [Covered(*one) for one in zip(inside, crops, scores, strict=True)]


def effect_sentence(emotion: str, before: float, after: Sequence[tuple[str, float]]) -> str:
    """
    The largest fall of an expression's score in words: "without the mouth, happiness falls from 99 % to 41 %".

    Args:
        emotion: the expression that the face shows.
        before: its probability as the face is, in [0, 1].
        after: (part, probability with that part covered) for each part that was covered.
    """
    if not after:
        return f"no part could be covered to see what {emotion} hangs on"
    part, lowest = min(after, key=lambda pair: pair[1])
    if before - lowest < 0.05:
        return f"{emotion} stays at {100 * lowest:.0f} % or more, whichever part is covered"
    return f"without the {part}, {emotion} falls from {100 * before:.0f} % to {100 * lowest:.0f} %"
