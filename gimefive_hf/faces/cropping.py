"""The aligned square crop of a face, which is what the networks see."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..images.photos import ImageSource, load_image
from .detections import LEFT_EYE, RIGHT_EYE, Box, Detection, roll

# Side of the aligned crop over that of the face box, and by how much of its side the crop sits higher than the box.
# Chosen on held-out RAF-DB, FER2013 and AffectNet; training/LOG.md has the figures.
CROP_MARGIN = 1.05
CROP_LIFT = 0.1
# A crop for which the photo has no room shrinks, down to this share of the face box's side.
CROP_LEAST = 1.0
# Side of the box of an upright face over the distance of its eyes: at least this (2.2 to 2.5 on the same crops).
BOX_PER_EYES = 2.15
# Least and largest side in pixels of a crop that keeps the photo's resolution.
CROP_SIDES = (48, 224)
# What stands for pixels beyond the photo: its last ones, repeated.
CROP_BORDER = cv2.BORDER_REPLICATE

# cv2.warpAffine counts pixels in 16 bits.
WARP_SIDE = 32_766


@dataclass(frozen=True)
class FaceCrop:
    """
    An aligned face: `image` uint8 RGB (side, side, 3), and `matrix` float64 (2, 3), which maps a pixel of the photo
    (x, y, 1) to one of the crop.
    """

    image: NDArray[np.uint8]
    matrix: NDArray[np.float64]

    def to_crop(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Points (n, 2) of the photo, in pixels of the crop."""
        return points @ self.matrix[:, :2].T + self.matrix[:, 2]


def crop_face(
    image: ImageSource,
    face: Detection | Box,
    margin: float = CROP_MARGIN,
    size: int | None = None,
    *,
    lift: float = CROP_LIFT,
    least: float = CROP_LEAST,
    border: int = CROP_BORDER,
) -> FaceCrop:
    """
    The aligned, squared crop of one face, framed like the crops that the networks are trained on.

    Args:
        image: uint8 RGB (height, width, 3), or a path or PIL image.
        face: a `Detection`, whose eyes are turned level, or a box (x, y, width, height), taken as upright.
        margin: side of the crop over the longer side of the face box.
        size: side of the crop in pixels; None keeps the photo's resolution, within `CROP_SIDES`.
        lift: by how much of the crop's side it sits higher than the box.
        least: where the photo ends before the margin does, the crop shrinks about its centre, but not under this
            many times the box; with `margin` or more it never does.
        border: of OpenCV; what stands for pixels beyond the photo. By default its last ones are repeated.

    Raises ValueError for an empty box.
    """
    pixels = load_image(image)
    x, y, width, height = face.box if isinstance(face, Detection) else face
    if not (width > 0 and height > 0 and margin > 0):
        raise ValueError(f"a crop needs a positive box and margin; got {(x, y, width, height)} and {margin}")
    angle, span = 0.0, max(width, height)
    if isinstance(face, Detection):
        angle = roll(face)
        # The box of a tilted head comes out too small; its eyes tell.
        eyes = face.keypoints[LEFT_EYE] - face.keypoints[RIGHT_EYE]
        span = max(span, BOX_PER_EYES * float(np.hypot(*eyes)))
    up = lift * margin * span
    centre = (x + width / 2 + up * np.sin(angle), y + height / 2 - up * np.cos(angle))
    side = float(np.clip(room_at(centre, angle, pixels.shape), min(least, margin) * span, margin * span))
    size = int(np.clip(round(side), *CROP_SIDES)) if size is None else size
    matrix = cv2.getRotationMatrix2D(centre, float(np.degrees(angle)), size / side)
    matrix[:, 2] += (size - 1) / 2 - np.array(centre)
    return FaceCrop(warp_square(pixels, matrix, size, border), matrix)


def room_at(centre: tuple[float, float], angle: float, shape: tuple[int, ...]) -> float:
    """Side of the largest square about `centre`, turned by `angle` radians, in an image of `shape` (height, width)."""
    (x, y), (height, width) = centre, shape[:2]
    return 2 * min(x, y, width - x, height - y) / (abs(np.cos(angle)) + abs(np.sin(angle)))


def warp_square(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], size: int, border: int = cv2.BORDER_CONSTANT
) -> NDArray[np.uint8]:
    """Affine warp (2, 3), image pixels → output pixels, to (size, size, 3); averages where it shrinks."""
    shrink = 1 / float(np.hypot(matrix[0, 0], matrix[0, 1]))
    # warpAffine looks at four pixels only and takes no longer image: reduce the part that it will see first
    if shrink > 2 or max(image.shape[:2]) > WARP_SIDE:
        inverse = cv2.invertAffineTransform(matrix)
        low, high = -0.5, size - 0.5  # pixel centres are at whole numbers
        corners = np.array([[low, low, 1], [high, low, 1], [low, high, 1], [high, high, 1]]) @ inverse.T
        left, top = np.clip(np.floor(corners.min(0)) - 1, 0, None).astype(int)
        right, bottom = np.ceil(corners.max(0)).astype(int) + 1
        image = image[top : max(bottom, 0), left : max(right, 0)]
        if image.size == 0:
            return np.zeros((size, size, 3), np.uint8)
        factors = np.ones(2)  # of x and y; a side of one pixel stays
        while shrink > 2 * factors.max() and max(image.shape[:2]) >= 2:
            # halving is ten times as fast as another factor; an odd last line is half a pixel of the result at most
            steps = np.minimum(image.shape[1::-1], 2)
            width, height = image.shape[1] // steps[0], image.shape[0] // steps[1]
            part = image[: height * steps[1], : width * steps[0]]
            image = cv2.resize(part, (int(width), int(height)), interpolation=cv2.INTER_AREA)
            factors *= steps
        origin = np.array([left, top]) + (factors - 1) / 2
        matrix = np.column_stack([matrix[:, :2] * factors, matrix[:, :2] @ origin + matrix[:, 2]])
    return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=border)
