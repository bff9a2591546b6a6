"""What a face detector finds: boxes with key points, and how boxes overlap."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

# Indices into `Detection.keypoints`; right and left are the person's own.
RIGHT_EYE, LEFT_EYE, NOSE, MOUTH, RIGHT_EAR, LEFT_EAR = range(6)


Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Detection:
    """
    A face: `box` (x, y, width, height) in pixels of the image, from brows to chin and possibly beyond the border;
    `score` in [0, 1]; `keypoints` float32 (6, 2) in pixels: right eye, left eye, nose tip, mouth, right and left ear.
    """

    box: Box
    score: float
    keypoints: NDArray[np.float32]


class Detector(Protocol):
    """
    Anything that finds the faces of an image. It may be called by several threads, and it sees one image at a time.

    What it does not know of a detection's key points is NaN, but the eyes: they tell how a crop is turned.
    """

    def __call__(self, image: NDArray[np.uint8], /) -> list[Detection]:
        """The faces in `image`, uint8 RGB (height, width, 3); the best first."""
        ...


def check_rgb(image: NDArray[np.uint8]) -> None:
    """Raise ValueError unless `image` is uint8 (height, width, 3) with at least one pixel."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ValueError(f"expected a uint8 RGB array (height, width, 3); got {got}")
    if image.size == 0:
        raise ValueError(f"the image has no pixels: shape {image.shape}")


def check_score(min_score: float) -> None:
    """Raise ValueError for a least score that no detection, or every one, would reach."""
    if not 0 < min_score < 1:
        raise ValueError(f"min_score must be between 0 and 1; got {min_score}")


def six_points(five: NDArray[np.floating]) -> NDArray[np.float32]:
    """`Detection.keypoints` of the five (eyes, nose and both corners of the mouth) that other detectors know."""
    return np.concatenate([five[:3], five[3:].mean(0, keepdims=True), np.full((2, 2), np.nan)]).astype(np.float32)


def non_maximum_suppression(
    detections: Iterable[Detection], known: Sequence[Detection] = (), max_iou: float = 0.3, max_inside: float = 0.6
) -> list[Detection]:
    """
    Keep the best of each group of overlapping boxes, best first, and none that overlaps a `known` one. A box that lies
    mostly inside a better one is a part of the same face, seen in a tile that cuts it.
    """
    kept: list[Detection] = []
    for detection in sorted(detections, key=lambda d: -d.score):
        overlaps = [overlap(detection.box, other.box) for other in (*known, *kept)]
        if all(iou < max_iou and inside < max_inside for iou, inside in overlaps):
            kept.append(detection)
    return kept


def overlap(a: Box, b: Box) -> tuple[float, float]:
    """Intersection over union, and intersection over the smaller of the two boxes."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    area_a, area_b = a[2] * a[3], b[2] * b[3]
    return shared / max(area_a + area_b - shared, 1e-9), shared / max(min(area_a, area_b), 1e-9)


def roll(detection: Detection) -> float:
    """Angle in radians by which the line through the eyes is turned clockwise."""
    eyes = detection.keypoints[LEFT_EYE] - detection.keypoints[RIGHT_EYE]
    return float(np.arctan2(eyes[1], eyes[0]))
