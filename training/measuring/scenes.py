"""
Crops put into a larger scene, to be found again by our detector: the way a photo really goes.

A scene is 320×320 px of smooth seeded noise; the crop stands in it at a given size, at a seeded place, turned if asked.
"""

import zlib
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gimefive_hf.faces.detections import Detection

SCENE = 320
FACE = 128
EDGE = 16  # pixels between the crop and the scene's border


@dataclass(frozen=True)
class Scene:
    """`image` uint8 RGB (side, side, 3), and the `centre` (x, y) and `side` in pixels of the crop that stands in it."""

    image: NDArray[np.uint8]
    centre: tuple[float, float]
    side: float


def scene_seed(corpus: str, source: str) -> int:
    """The seed of an image's scene: it depends on the image alone, not on what else is scored with it."""
    return zlib.crc32(f"{corpus}/{source}".encode())


def make_scene(crop: NDArray[np.uint8], seed: int, face: int = FACE, roll: float = 0.0) -> Scene:
    """
    Args:
        crop: uint8 RGB (h, w, 3).
        face: side in pixels at which the crop stands in the scene, at most `SCENE` − 2 × `EDGE`.
        roll: degrees by which it is turned clockwise; its corners may then reach over the scene's border.

    Raises ValueError for a side that does not fit.
    """
    if not 8 <= face <= SCENE - 2 * EDGE:
        raise ValueError(f"a crop stands in a scene with a side of 8 to {SCENE - 2 * EDGE} px; got {face}")
    generator = np.random.default_rng(seed)
    coarse = generator.uniform(60, 200, (6, 6, 3)).astype(np.float32)
    image = cv2.resize(coarse, (SCENE, SCENE), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)
    x, y = (int(v) for v in generator.integers(EDGE, SCENE - face - EDGE + 1, 2))
    shrinks = face < crop.shape[0]
    crop = cv2.resize(crop, (face, face), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    centre = (x + face / 2, y + face / 2)
    if not roll:
        image[y : y + face, x : x + face] = crop
        return Scene(image, centre, face)
    matrix = cv2.getRotationMatrix2D(((face - 1) / 2, (face - 1) / 2), -roll, 1.0)
    matrix[:, 2] += (x, y)
    cv2.warpAffine(crop, matrix, (SCENE, SCENE), image, cv2.INTER_LINEAR, cv2.BORDER_TRANSPARENT)
    return Scene(image, centre, face)


def bare_scene(crop: NDArray[np.uint8]) -> Scene:
    """The crop itself as the whole photo: nothing stands around it, and its border is the photo's."""
    height, width = crop.shape[:2]
    return Scene(np.ascontiguousarray(crop), (width / 2, height / 2), float(max(height, width)))


def nearest_face(scene: Scene, faces: list[Detection]) -> Detection | None:
    """The face whose box's centre is nearest to where the crop stands; None if none lies within half its side."""
    best, least = None, scene.side / 2
    for face in faces:
        x, y, width, height = face.box
        distance = float(np.hypot(x + width / 2 - scene.centre[0], y + height / 2 - scene.centre[1]))
        if distance < least:
            best, least = face, distance
    return best
