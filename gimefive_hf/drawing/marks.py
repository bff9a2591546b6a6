"""Pictures of results on photos: heat-map overlay, landmarks. RGB uint8 in, RGB uint8 out."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ..faces.cropping import FaceCrop

# Perceptually even by default; jet is what the paper's figures use.
COLOR_MAPS = {"inferno": cv2.COLORMAP_INFERNO, "viridis": cv2.COLORMAP_VIRIDIS, "jet": cv2.COLORMAP_JET}

LANDMARK_COLOR = (0, 255, 170)


def line_width(image: NDArray[np.uint8]) -> int:
    """Width of lines in pixels that suits the image's size."""
    return max(1, round(min(image.shape[:2]) / 240))


def color_map(heat: NDArray[np.float32], name: str = "inferno") -> NDArray[np.uint8]:
    """Heat map float (H, W) in [0, 1] → RGB (H, W, 3). Raises ValueError for an unknown colour map."""
    if name not in COLOR_MAPS:
        raise ValueError(f"color map must be one of {', '.join(COLOR_MAPS)}; got {name!r}")
    levels = cv2.convertScaleAbs(np.clip(heat, 0, 1), alpha=255)
    return cv2.LUT(cv2.merge((levels, levels, levels)), color_table(name))


@lru_cache(maxsize=len(COLOR_MAPS))
def color_table(name: str) -> NDArray[np.uint8]:
    """The colours of the levels 0–255, RGB (256, 1, 3)."""
    return cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], COLOR_MAPS[name])[..., ::-1].copy()


def overlay_heat(
    image: NDArray[np.uint8],
    heat: NDArray[np.float32],
    crop: FaceCrop | None = None,
    name: str = "inferno",
    strength: float = 0.65,
) -> NDArray[np.uint8]:
    """
    Lay a heat map over the photo where the crop was taken, the hotter the more opaque.

    Args:
        image: uint8 RGB (height, width, 3).
        heat: float (H, W) in [0, 1] over the crop, of any resolution.
        crop: where the map belongs; None if it covers the whole image.
        name: colour map, one of `COLOR_MAPS`.
        strength: opacity of the hottest place, in [0, 1].
    """
    height, width = image.shape[:2]
    if crop is None:
        part = image
        placed = cv2.resize(heat, (width, height), interpolation=cv2.INTER_LINEAR)
        left = top = 0
    else:
        side = crop.image.shape[0]
        full = cv2.resize(heat, (side, side), interpolation=cv2.INTER_LINEAR)
        inverse = cv2.invertAffineTransform(crop.matrix)
        # only where the crop was taken, which in a video's frame is a small part
        corners = np.array([[0, 0, 1], [side, 0, 1], [0, side, 1], [side, side, 1]]) @ inverse.T
        left, top = np.clip(np.floor(corners.min(0)).astype(int) - 1, 0, (width, height))
        right, bottom = np.clip(np.ceil(corners.max(0)).astype(int) + 1, 0, (width, height))
        part = image[top:bottom, left:right]
        if part.size == 0:
            return image.copy()
        inverse[:, 2] -= (left, top)
        placed = cv2.warpAffine(full, inverse, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
    # Square root: a linear alpha would show only the peak.
    alpha = cv2.convertScaleAbs(np.sqrt(np.clip(placed, 0, 1)), alpha=255 * strength)
    alpha = cv2.merge((alpha, alpha, alpha))
    hot = cv2.multiply(color_map(placed, name), alpha, scale=1 / 255)
    result = image.copy()
    blended = cv2.add(cv2.multiply(part, 255 - alpha, scale=1 / 255), hot)
    result[top : top + part.shape[0], left : left + part.shape[1]] = blended
    return result
