"""
Faces in photos: BlazeFace (Bazarevsky et al. 2019, arXiv 1907.05047) on the whole image and on overlapping tiles; where
it finds nothing or leaves a doubt, RetinaFace.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..images.photos import ImageSource, load_image
from .cropping import warp_square
from .detections import Box, Detection, check_rgb, check_score, non_maximum_suppression
from .landmarks import find_landmarks
from .networks import FaceNetwork
from .onet import face_likelihood
from .retinaface import RetinaFaceDetector

DETECTOR_SIDE = 128
# Where no face is found, one that fills the picture is looked for in a square of `WIDER` times the picture's longer
# side; it must be at least so wide, as a share of the shorter side.
WIDER = 1.6
LEAST_FILLING = 0.5
# RetinaFace is asked from this score on; with the mesh's word it is one that counts, or none.
LEAST_SECOND = 0.1
# The mesh's log-odds count by `MESH_SHARE` beside RetinaFace's; `PRIOR` puts the bar of 0.5 where two places in 1,182
# faceless pictures reach it. Both chosen on held-out images, see training/LOG.md.
MESH_SHARE, PRIOR = 0.3, 0.7
# Tiles of fewer pixels a side show nothing that the whole image does not.
LEAST_TILE = 64


@dataclass
class FaceDetector:
    """
    Finds the faces in an RGB image. It may be called by several threads at once.

    The network sees 128×128 pixels and finds faces that fill at least a sixth of them; `tile_scales` says how small
    the pieces are in which it looks, as shares of the image's shorter side. Each piece costs about 1 ms. A photo in
    which it finds no face, or a doubtful one that is not confirmed, is shown to RetinaFace once, for 10 to 40 ms more.

    Args:
        min_score: detections under it are dropped.
        tile_scales: sides of the tiles; empty for the whole image only, which is the fastest and finds large faces.
        min_size: faces whose box is narrower, in pixels, are dropped.
        verify: confirm detections of a score under `SURE`: the landmark network must say "face" with at least
            `PRESENT`, or O-Net with `LIKELY`. It removes most false ones in tiles, at 2–3 ms per doubtful face.
    """

    SURE, PRESENT, LIKELY = 0.8, 0.7, 0.55

    min_score: float = 0.5
    tile_scales: tuple[float, ...] = (0.6, 0.35)
    min_size: float = 12.0
    verify: bool = True

    _network = FaceNetwork("face_detection_short_range.tflite", ("classificators", "regressors"))
    _second = RetinaFaceDetector(LEAST_SECOND)

    def __post_init__(self) -> None:
        self.tile_scales = tuple(self.tile_scales)
        check_score(self.min_score)
        if any(not 0 < scale <= 1 for scale in self.tile_scales):
            raise ValueError(f"tile_scales must be in (0, 1]; got {self.tile_scales}")

    def __call__(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Detect in `image`, uint8 RGB (height, width, 3); the best first. Raises ValueError for another array."""
        check_rgb(image)
        height, width = image.shape[:2]
        seen = self._seen(image, windows(height, width, self.tile_scales))
        found = self._confirmed(image, seen)
        doubts = len(seen) - len(found)
        found = found or self._search_wider(image, round(WIDER * max(height, width)))
        return self._with_second(image, found) if doubts or not found else found

    def _search_wider(self, image: NDArray[np.uint8], side: int) -> list[Detection]:
        """Faces that fill a picture in which none was found: they are too large for the network until it shows more."""
        height, width = image.shape[:2]
        found = self.search(image, [((width - side) // 2, (height - side) // 2, side)])
        return [face for face in found if face.box[2] >= LEAST_FILLING * min(height, width)]

    def _with_second(self, image: NDArray[np.uint8], found: list[Detection]) -> list[Detection]:
        """The faces `found` and what RetinaFace finds beside them, with the mesh's word on each in its score."""
        others = non_maximum_suppression((face for face in self._second(image) if face.box[2] >= self.min_size), found)
        if self.verify:
            others = [replace(face, score=agreed(face.score, find_landmarks(image, face)[1])) for face in others]
        others = [face for face in others if face.score >= self.min_score]
        return sorted([*found, *others], key=lambda face: -face.score)

    def search(
        self, image: NDArray[np.uint8], pieces: Iterable[tuple[int, int, int]], known: Sequence[Detection] = ()
    ) -> list[Detection]:
        """Look only in some squares (x, y, side), as `windows` gives them, for other faces than the `known` ones."""
        return self._confirmed(image, self._seen(image, pieces, known))

    def _seen(
        self, image: NDArray[np.uint8], pieces: Iterable[tuple[int, int, int]], known: Sequence[Detection] = ()
    ) -> list[Detection]:
        found = [detection for piece in pieces for detection in self._detect_in_window(image, *piece)]
        return non_maximum_suppression(found, known)

    def detect_near(self, image: NDArray[np.uint8], box: Box, scale: float = 2.0) -> list[Detection]:
        """Look only in a square of `scale` times the box around it, as a tracker does between full searches."""
        check_rgb(image)
        x, y, width, height = box
        side = scale * max(width, height)
        window = (round(x + width / 2 - side / 2), round(y + height / 2 - side / 2), max(1, round(side)))
        return self._confirmed(image, non_maximum_suppression(self._detect_in_window(image, *window)))

    def _confirmed(self, image: NDArray[np.uint8], detections: list[Detection]) -> list[Detection]:
        if not self.verify:
            return detections
        return [d for d in detections if d.score >= self.SURE or self._looks_like_a_face(image, d)]

    def _looks_like_a_face(self, image: NDArray[np.uint8], detection: Detection) -> bool:
        return find_landmarks(image, detection)[1] > self.PRESENT or face_likelihood(image, detection.box) > self.LIKELY

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


def agreed(score: float, presence: float) -> float:
    """How sure RetinaFace, with its `score`, and the mesh, with its `presence`, are together: all in [0, 1]."""
    odds = log_odds(score) + MESH_SHARE * log_odds(presence) + PRIOR
    return float(1 / (1 + np.exp(-odds)))


def log_odds(probability: float) -> float:
    """Between −7 and 7, so that no network alone is certain."""
    return float(np.log(np.clip(probability, 1e-3, 1 - 1e-3) / (1 - np.clip(probability, 1e-3, 1 - 1e-3))))


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
        if side < LEAST_TILE:
            continue
        rows, columns = (max(1, int(np.ceil((length - side) / (side * 2 / 3))) + 1) for length in (height, width))
        for y in np.linspace(0, height - side, rows).round().astype(int):
            for x in np.linspace(0, width - side, columns).round().astype(int):
                yield int(x), int(y), side


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
    return FaceDetector(min_score, tile_scales, min_size, verify)(load_image(image))
