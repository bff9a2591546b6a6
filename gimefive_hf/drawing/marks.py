"""Pictures of results on photos: numbered boxes, heat-map overlay, landmarks. RGB uint8 in, RGB uint8 out."""

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..faces.cropping import FaceCrop
from ..faces.detections import Box
from ..recognizer import Face
from .colors import EMOTION_COLORS, OTHER_COLOR

# Perceptually even by default; jet is what the paper's figures use.
COLOR_MAPS = {"inferno": cv2.COLORMAP_INFERNO, "viridis": cv2.COLORMAP_VIRIDIS, "jet": cv2.COLORMAP_JET}

LANDMARK_COLOR = (0, 255, 170)


def line_width(image: NDArray[np.uint8]) -> int:
    """Width of lines in pixels that suits the image's size."""
    return max(1, round(min(image.shape[:2]) / 240))


def draw_boxes(
    image: NDArray[np.uint8], faces: Sequence[Face], chosen: int | None = None, labels: bool = True
) -> NDArray[np.uint8]:
    """A copy with a box around each face in its expression's colour, numbered from 1; `chosen` is drawn thicker."""
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    width = line_width(image)
    font = ImageFont.load_default(size=max(11, 6 * width))
    for index, face in enumerate(faces):
        color = EMOTION_COLORS.get(face.label, OTHER_COLOR)
        x, y, w, h = face.box
        draw.rectangle((x, y, x + w, y + h), outline=color, width=width * (2 if index == chosen else 1))
        text = f"{index + 1}" + (f" {face.label} {face.score:.0%}" if labels else "")
        draw_label(draw, text, face.box, color, font, image.shape[1])
    return np.array(canvas)


def draw_label(draw: ImageDraw.ImageDraw, text: str, box: Box, color: tuple[int, int, int], font, right: int) -> None:
    """Text on a filled plate above the box, or inside it at the upper border, always within the image."""
    left, top, text_right, bottom = draw.textbbox((0, 0), text, font=font)
    width, height = text_right - left + 8, bottom - top + 8
    x = min(max(box[0], 0), max(0, right - width))
    y = box[1] - height if box[1] >= height else max(box[1], 0)
    draw.rectangle((x, y, x + width, y + height), fill=color)
    # black or white, whichever is further from the plate in luma
    luma = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]
    draw.text((x + 4 - left, y + 4 - top), text, fill="black" if luma > 127 else "white", font=font)


def draw_landmarks(image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A copy with the 68 points (68, 2) as dots whose size follows the size of the face."""
    canvas = image.copy()
    radius = max(1, round(float(np.ptp(landmarks[:, 0])) / 90))
    for x, y in landmarks.round().astype(int).tolist():
        cv2.circle(canvas, (x, y), radius, LANDMARK_COLOR, -1, cv2.LINE_AA)
    return canvas


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
