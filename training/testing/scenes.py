"""
Aligned crops put into a larger scene, to be found again by our detector: the "detected" protocol, as deployed.

The scene is 320×320 px of smooth seeded noise; the crop stands in it at 128 px, at a seeded place. What comes back is
what the deployed path cuts out: the face nearest to where the crop stands, turned level and framed by the detector.
"""

import cv2
import numpy as np

from gimefive_hf.faces.cropping import crop_face
from gimefive_hf.faces.detector import FaceDetector

SCENE = 320
FACE = 128


def make_scene(crop: np.ndarray, seed: int) -> tuple[np.ndarray, tuple[int, int]]:
    """uint8 RGB crop (h, w, 3) → scene (320, 320, 3) and the corner (x, y) at which the crop's 128×128 px begin."""
    generator = np.random.default_rng(seed)
    coarse = generator.uniform(60, 200, (6, 6, 3)).astype(np.float32)
    scene = cv2.resize(coarse, (SCENE, SCENE), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)
    x, y = (int(v) for v in generator.integers(16, SCENE - FACE - 16, 2))
    scene[y : y + FACE, x : x + FACE] = cv2.resize(crop, (FACE, FACE), interpolation=cv2.INTER_LINEAR)
    return scene, (x, y)


def find_again(crop: np.ndarray, detector: FaceDetector, seed: int) -> np.ndarray | None:
    """The deployed path's crop of the face in a scene with `crop`, uint8 RGB (s, s, 3); None if none is found."""
    scene, corner = make_scene(crop, seed)
    centre = np.array(corner) + FACE / 2
    faces = []
    for face in detector(scene):
        x, y, width, height = face.box
        distance = float(np.hypot(*(np.array([x + width / 2, y + height / 2]) - centre)))
        if distance < FACE / 2:
            faces.append((distance, face))
    if not faces:
        return None
    nearest = min(faces, key=lambda pair: pair[0])[1]
    return crop_face(scene, nearest).image
