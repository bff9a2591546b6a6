"""
Faces in photos: BlazeFace (Bazarevsky et al. 2019, arXiv 1907.05047) on the whole image and on overlapping tiles,
and the aligned square crop that the networks see.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from .face_networks import FaceNetwork
from .images import ImageSource, load_image

# Indices into `Detection.keypoints`; right and left are the person's own.
RIGHT_EYE, LEFT_EYE, NOSE, MOUTH, RIGHT_EAR, LEFT_EAR = range(6)

DETECTOR_SIDE = 128

# Side of the aligned crop over that of the face box, and by how much of its side the crop sits higher than the box.
# Median over RAF-DB's and FER2013's training crops, which this detector was run on: 1.02 and 1.16, 0.08 and 0.11.
CROP_MARGIN = 1.09
CROP_LIFT = 0.09
# Side of the box of an upright face over the distance of its eyes: at least this (2.2 to 2.5 on the same crops).
BOX_PER_EYES = 2.15

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


@dataclass(frozen=True)
class FaceCrop:
    """
    An aligned face: `image` uint8 RGB (side, side, 3), and `matrix` float64 (2, 3), which maps a pixel of the photo
    (x, y, 1) to one of the crop.
    """

    image: NDArray[np.uint8]
    matrix: NDArray[np.float64]


class FaceDetector:
    """
    Finds the faces in an RGB image.

    The network sees 128×128 pixels and finds faces that fill at least a sixth of them; `tile_scales` says how small
    the pieces are in which it looks, as shares of the image's shorter side. Each piece costs about 1 ms.

    Args:
        min_score: detections under it are dropped.
        tile_scales: sides of the tiles; empty for the whole image only, which is the fastest and finds large faces.
        min_size: faces whose box is narrower, in pixels, are dropped.
        verify: let the landmark network confirm detections of a score under `SURE`: it must say "face" with at
            least `PRESENT`. It removes most false ones in tiles, at 1–2 ms per doubtful face.
    """

    SURE = 0.8
    PRESENT = 0.7

    def __init__(
        self,
        min_score: float = 0.5,
        tile_scales: tuple[float, ...] = (0.6, 0.35),
        min_size: float = 12.0,
        verify: bool = True,
    ):
        if not 0 < min_score < 1:
            raise ValueError(f"min_score must be between 0 and 1; got {min_score}")
        if any(not 0 < scale <= 1 for scale in tile_scales):
            raise ValueError(f"tile_scales must be in (0, 1]; got {tile_scales}")
        self.min_score = min_score
        self.tile_scales = tuple(tile_scales)
        self.min_size = min_size
        self.verify = verify
        self._network = FaceNetwork("face_detection_short_range.tflite", ("classificators", "regressors"))

    def __call__(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Detect in `image`, uint8 RGB (height, width, 3); the best first. Raises ValueError for another array."""
        check_rgb(image)
        return self.search(image, windows(image.shape[0], image.shape[1], self.tile_scales))

    def search(
        self, image: NDArray[np.uint8], pieces: Iterable[tuple[int, int, int]], known: Sequence[Detection] = ()
    ) -> list[Detection]:
        """Look only in some squares (x, y, side), as `windows` gives them, for other faces than the `known` ones."""
        found = [detection for piece in pieces for detection in self._detect_in_window(image, *piece)]
        return self._confirmed(image, suppress(found, known))

    def detect_near(self, image: NDArray[np.uint8], box: Box, scale: float = 2.0) -> list[Detection]:
        """Look only in a square of `scale` times the box around it, as a tracker does between full searches."""
        check_rgb(image)
        x, y, width, height = box
        side = scale * max(width, height)
        window = (round(x + width / 2 - side / 2), round(y + height / 2 - side / 2), max(1, round(side)))
        return self._confirmed(image, suppress(self._detect_in_window(image, *window)))

    def _confirmed(self, image: NDArray[np.uint8], detections: list[Detection]) -> list[Detection]:
        if not self.verify:
            return detections
        from .landmarks import find_landmarks  # it builds on this module

        return [d for d in detections if d.score >= self.SURE or find_landmarks(image, d)[1] > self.PRESENT]

    def _detect_in_window(self, image: NDArray[np.uint8], x: int, y: int, side: int) -> list[Detection]:
        """Detect in the square (x, y, side), which may reach beyond the image; there it is black."""
        scale = DETECTOR_SIDE / side
        matrix = np.array([[scale, 0, (0.5 - x) * scale - 0.5], [0, scale, (0.5 - y) * scale - 0.5]])
        square = warp_square(image, matrix, DETECTOR_SIDE)
        logits, values = self._network(square.astype(np.float32) / 127.5 - 1)
        logits = logits.reshape(-1)
        chosen = np.flatnonzero(logits >= np.log(self.min_score / (1 - self.min_score)))
        scores = 1 / (1 + np.exp(-np.minimum(logits[chosen], 80)))
        # offsets from the anchor in network pixels: box centre, box size, six key points
        offsets = values.reshape(-1, 8, 2)[chosen] / DETECTOR_SIDE
        sizes = offsets[:, 1] * side
        points = (offsets[:, [0, 2, 3, 4, 5, 6, 7]] + anchors()[chosen, None]) * side + np.array([x, y], np.float32)
        corners = points[:, 0] - sizes / 2
        return [
            Detection((*corner, *size), score, places)
            for corner, size, score, places in zip(
                corners.tolist(), sizes.tolist(), scores.tolist(), points[:, 1:], strict=True
            )
            if size[0] >= self.min_size and size[1] > 0
        ]


def check_rgb(image: NDArray[np.uint8]) -> None:
    """Raise ValueError unless `image` is uint8 (height, width, 3) with at least one pixel."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ValueError(f"expected a uint8 RGB array (height, width, 3); got {got}")
    if image.size == 0:
        raise ValueError(f"the image has no pixels: shape {image.shape}")


@lru_cache(maxsize=1)
def anchors() -> NDArray[np.float32]:
    """Centres (896, 2) of BlazeFace's anchors in [0, 1]: two per cell of 16×16, six per cell of 8×8."""
    centres = []
    for cells, count in ((16, 2), (8, 6)):
        y, x = np.mgrid[0:cells, 0:cells]
        grid = (np.stack([x, y], -1).reshape(-1, 2) + 0.5) / cells
        centres.append(np.repeat(grid, count, axis=0))
    return np.concatenate(centres).astype(np.float32)


def windows(height: int, width: int, scales: tuple[float, ...]) -> Iterator[tuple[int, int, int]]:
    """Squares (x, y, side) to search: one around the whole image, then for each scale tiles that overlap by a third."""
    longer, shorter = max(height, width), min(height, width)
    yield (width - longer) // 2, (height - longer) // 2, longer
    for scale in scales:
        side = round(shorter * scale)
        if side < 64:  # tiles of so few pixels show nothing that the whole image does not
            continue
        rows, columns = (max(1, int(np.ceil((length - side) / (side * 2 / 3))) + 1) for length in (height, width))
        for y in np.linspace(0, height - side, rows).round().astype(int):
            for x in np.linspace(0, width - side, columns).round().astype(int):
                yield int(x), int(y), side


def suppress(
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


def crop_face(
    image: ImageSource, face: Detection | Box, margin: float = CROP_MARGIN, size: int | None = None
) -> FaceCrop:
    """
    The aligned, squared crop of one face, framed like the crops that the networks are trained on.

    Args:
        image: uint8 RGB (height, width, 3), or a path or PIL image.
        face: a `Detection`, whose eyes are turned level, or a box (x, y, width, height), taken as upright.
        margin: side of the crop over the longer side of the face box.
        size: side of the crop in pixels; None keeps the photo's resolution, between 48 and 224.

    What lies beyond the border of the photo repeats its last pixels. Raises ValueError for an empty box.
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
    side = margin * span
    size = int(np.clip(round(side), 48, 224)) if size is None else size
    lift = CROP_LIFT * side
    centre = (x + width / 2 + lift * np.sin(angle), y + height / 2 - lift * np.cos(angle))
    matrix = cv2.getRotationMatrix2D(centre, float(np.degrees(angle)), size / side)
    matrix[:, 2] += (size - 1) / 2 - np.array(centre)
    return FaceCrop(warp_square(pixels, matrix, size, cv2.BORDER_REPLICATE), matrix)


def roll(detection: Detection) -> float:
    """Angle in radians by which the line through the eyes is turned clockwise."""
    eyes = detection.keypoints[LEFT_EYE] - detection.keypoints[RIGHT_EYE]
    return float(np.arctan2(eyes[1], eyes[0]))


def warp_square(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], size: int, border: int = cv2.BORDER_CONSTANT
) -> NDArray[np.uint8]:
    """Affine warp (2, 3), image pixels → output pixels, to (size, size, 3); averages where it shrinks."""
    shrink = 1 / float(np.hypot(matrix[0, 0], matrix[0, 1]))
    if shrink > 2:  # warpAffine looks at four pixels only: reduce the part that it will see first
        inverse = cv2.invertAffineTransform(matrix)
        low, high = -0.5, size - 0.5  # pixel centres are at whole numbers
        corners = np.array([[low, low, 1], [high, low, 1], [low, high, 1], [high, high, 1]]) @ inverse.T
        left, top = np.clip(np.floor(corners.min(0)) - 1, 0, None).astype(int)
        right, bottom = np.ceil(corners.max(0)).astype(int) + 1
        image = image[top : max(bottom, 0), left : max(right, 0)]
        if image.size == 0:
            return np.zeros((size, size, 3), np.uint8)
        factor = 1
        while shrink > 2 * factor and min(image.shape[:2]) >= 2:
            # halving is ten times as fast as another factor; an odd last line is half a pixel of the result at most
            width, height = image.shape[1] // 2, image.shape[0] // 2
            image = cv2.resize(image[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
            factor *= 2
        origin = np.array([left, top]) + (factor - 1) / 2
        matrix = np.column_stack([matrix[:, :2] * factor, matrix[:, :2] @ origin + matrix[:, 2]])
    return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=border)


@lru_cache(maxsize=8)
def _shared_detector(min_score: float, tile_scales: tuple[float, ...], min_size: float, verify: bool) -> FaceDetector:
    return FaceDetector(min_score, tile_scales, min_size, verify)


def detect_faces(
    image: ImageSource,
    min_score: float = 0.5,
    tile_scales: tuple[float, ...] = (0.6, 0.35),
    min_size: float = 12.0,
    verify: bool = True,
) -> list[Detection]:
    """
    The faces in an image, the best first.

    Args:
        image: a path, a PIL image or uint8 RGB (height, width, 3). Boxes and key points are in pixels of the upright
            image, as `load_image` gives it.

    The other options are `FaceDetector`'s. Raises ValueError for an image that cannot be read.
    """
    return _shared_detector(min_score, tuple(tile_scales), min_size, verify)(load_image(image))
