"""
RetinaFace (Deng et al. 2020, arXiv 1905.00641) on a MobileNet of a quarter's width: one look at the whole picture, for
faces that BlazeFace does not see, such as profiles and faces behind hands, glasses and hair.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from .detections import Detection, check_rgb, check_score, non_maximum_suppression, six_points
from .networks import onnx_session

FILE = "retinaface_mobilenet025.onnx"
# Least and largest side, in pixels, at which it looks; chosen with the score on held-out images, see training/LOG.md.
RETINA_SIDES = (320, 640)
RETINA_SCORE = 0.8
# Its strides in pixels with the sides of the two anchors per cell, and by how much offsets are scaled down.
ANCHOR_SIDES = {8: (16, 32), 16: (64, 128), 32: (256, 512)}
CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
MEAN_BGR = np.array([104, 117, 123], np.float32)
# Its boxes reach from the forehead to the chin, BlazeFace's from the brows: ours over its longer side, and how much of
# that ours lies lower; medians over held-out faces that both find, see training/LOG.md.
BOX_SHARE, BOX_DROP = 0.845, 0.08


@dataclass
class RetinaFaceDetector:
    """
    A `Detector`. It may be called by several threads.

    Args:
        min_score: detections under it are dropped.
        sides: least and largest length, in pixels, of the image's longer side; a smaller or larger image is brought to
            it. Faces of a twentieth of it are found; the time, about 8 ms at 320, grows with its square.

    Boxes are squares like `FaceDetector`'s. The ears' key points are NaN: RetinaFace has none.
    """

    min_score: float = RETINA_SCORE
    sides: tuple[int, int] = RETINA_SIDES

    def __post_init__(self) -> None:
        check_score(self.min_score)
        if not 32 <= self.sides[0] <= self.sides[1]:
            raise ValueError(f"sides must be at least 32 pixels, the lesser first; got {self.sides}")

    def __call__(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Detect in `image`, uint8 RGB (height, width, 3); the best first. Raises ValueError for another array."""
        check_rgb(image)
        longest = min(max(*image.shape[:2], self.sides[0]), self.sides[1])
        square, scale, left, top = fit(image, longest)
        values = (square[..., ::-1].astype(np.float32) - MEAN_BGR).transpose(2, 0, 1)[None]
        offsets, classes, places = onnx_session(FILE).run(("loc", "conf", "landmarks"), {"input": values})
        chosen = np.flatnonzero(classes[0, :, 1] >= self.min_score)
        centres, sides = (part[chosen] for part in anchors(*square.shape[:2]))
        boxes, points = decode(offsets[0, chosen], places[0, chosen], centres, sides)
        corner = np.array([left, top], np.float32)
        return non_maximum_suppression(
            to_detection((box - np.tile(corner, 2)) / scale, score, (five - corner) / scale)
            for box, score, five in zip(boxes, classes[0, chosen, 1].tolist(), points, strict=True)
        )


def fit(image: NDArray[np.uint8], longest: int) -> tuple[NDArray[np.uint8], float, int, int]:
    """
    The image with its longest side at `longest`, on black to multiples of 32 px, for which the strides need no
    rounding; the scale, and the left and upper border in pixels.
    """
    height, width = image.shape[:2]
    scale = longest / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    spare = [-length % 32 for length in size]
    left, top = (length // 2 for length in spare)
    square = cv2.copyMakeBorder(small, top, spare[1] - top, left, spare[0] - left, cv2.BORDER_CONSTANT)
    return square, scale, left, top


@lru_cache(maxsize=16)
def anchors(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Centres (n, 2) and sides (n, 1) of the anchors in pixels, in the network's order."""
    centres, sides = [], []
    for stride, pair in ANCHOR_SIDES.items():
        y, x = np.mgrid[0 : height // stride, 0 : width // stride]
        grid = (np.stack([x, y], -1).reshape(-1, 2) + 0.5) * stride
        centres.append(np.repeat(grid, len(pair), axis=0))
        sides.append(np.tile(pair, len(grid))[:, None])
    return np.concatenate(centres).astype(np.float32), np.concatenate(sides).astype(np.float32)


def decode(
    offsets: NDArray[np.float32], places: NDArray[np.float32], centres: NDArray[np.float32], sides: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes (n, 4), left, top, right and bottom, and key points (n, 5, 2) from offsets (n, 4) and (n, 10)."""
    middles = centres + offsets[:, :2] * CENTRE_VARIANCE * sides
    halves = sides * np.exp(offsets[:, 2:] * SIZE_VARIANCE) / 2
    points = centres[:, None] + places.reshape(-1, 5, 2) * CENTRE_VARIANCE * sides[:, None]
    return np.concatenate([middles - halves, middles + halves], axis=1), points


def to_detection(box: NDArray[np.float32], score: float, points: NDArray[np.float32]) -> Detection:
    """A box (left, top, right, bottom) and five key points of RetinaFace's, in pixels of the image, as ours."""
    longer = float(max(box[2] - box[0], box[3] - box[1]))
    across, down = points[1] - points[0], BOX_DROP * longer  # the eyes tell which way the face is turned
    angle = float(np.arctan2(across[1], across[0]))
    x = float(box[0] + box[2]) / 2 - down * np.sin(angle)
    y = float(box[1] + box[3]) / 2 + down * np.cos(angle)
    side = BOX_SHARE * longer
    return Detection((float(x - side / 2), float(y - side / 2), side, side), score, six_points(points))
