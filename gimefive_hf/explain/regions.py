"""
Which part of the face a heat map lies on: brows, eyes, nose, mouth, cheeks, jaw, or the background.

The regions are drawn around the 68 landmarks so that they hold the wrinkles of the muscles there: the brows reach up to
the middle of the forehead, the nose to the folds beside it, the mouth around the lips.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ..faces.cropping import CROP_LIFT, CROP_MARGIN
from ..faces.detections import Box
from ..faces.landmarks import LANDMARK_GROUPS, find_landmarks

REGIONS: tuple[str, ...] = ("brows", "eyes", "nose", "mouth", "cheeks", "jaw", "background")
BACKGROUND = REGIONS.index("background")

# Where the action units of each expression show (EMFACS: Friesen and Ekman 1983; happiness 6+12, surprise 1+2+5+26,
# sadness 1+4+15, anger 4+5+7+23, disgust 9+15+17, fear 1+2+4+5+7+20+26).
EXPRESSIVE_REGIONS: dict[str, tuple[str, ...]] = {
    "happiness": ("eyes", "cheeks", "mouth"),
    "surprise": ("brows", "eyes", "mouth", "jaw"),
    "sadness": ("brows", "mouth"),
    "anger": ("brows", "eyes", "mouth"),
    "disgust": ("nose", "mouth", "jaw"),
    "fear": ("brows", "eyes", "mouth", "jaw"),
}

# Sizes in units of the distance between the eyes' centres.
BROW_LIFT = 0.4
EYE_MARGIN = 0.13
NOSE_MARGIN = 0.12
MOUTH_MARGIN = 0.15


def crop_face_box(height: int, width: int) -> Box:
    """The face box (x, y, width, height) in pixels inside an aligned crop of that size, as `crop_face` frames it."""
    side = max(height, width) / CROP_MARGIN
    centre_y = height / 2 + CROP_LIFT * max(height, width)
    return (width - side) / 2, centre_y - side / 2, side, side


def crop_landmarks(crop: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
    """
    The 68 landmarks of an aligned crop, uint8 RGB (height, width, 3): float32 (68, 2) in pixels of the crop, and how
    sure the landmark network is in [0, 1] that there is a face.
    """
    return find_landmarks(crop, crop_face_box(*crop.shape[:2]))


def region_map(landmarks: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.uint8]:
    """
    The region of every pixel.

    Args:
        landmarks: float (68, 2), x and y in pixels of the image.
        size: (height, width) of the image.

    Returns:
        uint8 (height, width): index into `REGIONS`. Where regions overlap, the smaller feature wins: eyes over brows,
        mouth over nose. What is left of the face is cheek above the line through the mouth's corners, jaw under it.

    Raises:
        ValueError: for another shape of landmarks, or for points that are not finite.
    """
    points = np.asarray(landmarks, np.float32)
    if points.shape != (68, 2) or not np.isfinite(points).all():
        raise ValueError(f"expected 68 finite landmarks (68, 2); got an array of shape {points.shape}")
    part = {name: points[where] for name, where in LANDMARK_GROUPS.items()}
    right_eye, left_eye = part["right eye"].mean(0), part["left eye"].mean(0)
    unit = max(float(np.linalg.norm(left_eye - right_eye)), 1.0)
    along = (left_eye - right_eye) / unit
    up = np.array([along[1], -along[0]], np.float32)  # a quarter turn: from the eyes to the forehead
    brows = np.concatenate([part["right brow"], part["left brow"]])
    brows = np.concatenate([brows - 0.08 * unit * up, brows + BROW_LIFT * unit * up])
    corners = part["mouth"][[0, 6]]
    height, width = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    below_mouth = (x - corners[:, 0].mean()) * up[0] + (y - corners[:, 1].mean()) * up[1] < 0

    face = hull(np.concatenate([part["jaw"], brows]), size)
    regions = np.full(size, BACKGROUND, np.uint8)
    regions[face] = REGIONS.index("cheeks")
    regions[face & below_mouth] = REGIONS.index("jaw")
    regions[hull(brows, size)] = REGIONS.index("brows")
    regions[hull(part["nose"], size, NOSE_MARGIN * unit)] = REGIONS.index("nose")
    for eye in ("right eye", "left eye"):
        regions[hull(part[eye], size, EYE_MARGIN * unit)] = REGIONS.index("eyes")
    regions[hull(part["mouth"], size, MOUTH_MARGIN * unit)] = REGIONS.index("mouth")
    return regions


def hull(points: NDArray[np.float32], size: tuple[int, int], margin: float = 0.0) -> NDArray[np.bool_]:
    """Mask (height, width) of the convex hull of `points` (n, 2), widened by `margin` pixels on all sides."""
    mask = np.zeros(size, np.uint8)
    polygon = cv2.convexHull(points.astype(np.float32))
    # OpenCV draws with 4 fractional bits here, so that small crops are not off by half a pixel.
    cv2.fillConvexPoly(mask, np.round(polygon * 16).astype(np.int32), 1, shift=4)
    if margin > 0:
        around = [p + margin * np.array([np.cos(a), np.sin(a)]) for p in points for a in np.linspace(0, 2 * np.pi, 12)]
        return hull(np.array(around, np.float32), size)
    return mask.astype(bool)


def region_shares(heat: NDArray[np.float32], regions: NDArray[np.uint8]) -> NDArray[np.float64]:
    """
    Share of each map's heat in each region.

    Args:
        heat: float (n, H, W), not negative.
        regions: uint8 (n, H, W), from `region_map`.

    Returns:
        float64 (n, 7) in the order of `REGIONS`; a row sums to 1, or is NaN where the map is 0 everywhere.
    """
    if heat.shape != regions.shape or heat.ndim != 3:
        raise ValueError(f"expected heat and regions of one shape (n, H, W); got {heat.shape} and {regions.shape}")
    sums = np.stack([np.where(regions == r, heat, 0).sum((1, 2), dtype=np.float64) for r in range(len(REGIONS))], 1)
    total = sums.sum(1, keepdims=True)
    return np.divide(sums, total, out=np.full_like(sums, np.nan), where=total > 0)


def looks_at_background(shares: NDArray[np.float64], areas: NDArray[np.float64]) -> bool:
    """
    Whether maps lie on the background at least as densely as a map that is the same everywhere would.

    Args:
        shares: (n, 7) of the maps of a model, from `region_shares`; rows of NaN don't count.
        areas: (n, 7), the regions' shares of the area (`region_shares` of a map of ones).

    Raises:
        ValueError: if no row counts.
    """
    kept = np.isfinite(shares).all(1)
    if not kept.any():
        raise ValueError("no map has any heat: nothing can be said about where the model looks")
    return bool(shares[kept, BACKGROUND].mean() >= areas[kept, BACKGROUND].mean())


def reason(emotion: str, score: float, shares: Sequence[float], area: Sequence[float] | None = None) -> str:
    """
    One sentence for a person: "surprise 0.91, mostly from the mouth, 46 %, and the brows, 22 %".

    Args:
        emotion: the class that the map explains.
        score: its probability, in [0, 1].
        shares: (7,) of `region_shares`.
        area: the regions' shares of the area; with it, a map that prefers the background is flagged.
    """
    start = f"{emotion} {score:.2f}"
    if not np.isfinite(shares).all():
        return f"{start}, but no place in the picture speaks for it"
    first, second = np.argsort(-np.asarray(shares), kind="stable")[:2]
    text = f"{start}, mostly from the {REGIONS[first]}, {100 * shares[first]:.0f} %"
    if shares[second] >= 0.1:
        text += f", and the {REGIONS[second]}, {100 * shares[second]:.0f} %"
    if area is not None and shares[BACKGROUND] >= area[BACKGROUND]:
        text += "; it looks at the background, so don't rely on it"
    return text
