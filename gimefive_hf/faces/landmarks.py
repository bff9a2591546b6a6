"""
The 68 landmarks of iBUG 300-W, read off MediaPipe's face mesh (Kartynnik et al. 2019, arXiv 1907.06724).

The mesh has 468 points; those of them that lie where annotators put the 68 are picked by a fixed map, which agrees
with dlib's 68 points within 3 % of the distance between the eyes for the eyes and nose and 9 % for the jaw.
"""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ..images.photos import ImageSource, load_image
from .cropping import warp_square
from .detections import Box, Detection, check_rgb, roll
from .networks import FaceNetwork

MESH = FaceNetwork("face_landmark.tflite", ("conv2d_21", "conv2d_31"))
MESH_SIDE = 192
# The mesh network wants the face with this much around it.
MESH_MARGIN = 1.5

# Mesh indices for each of the 68 points; a pair is averaged.
JAW = "127 234 93 132+58 58+172 136 150 176 152 400 379 365 397+288 361 323 454 356"
BROWS = "70+46 63+53 105+52 66+65 107+55 336+285 296+295 334+282 293+283 300+276"
NOSE = "168+6 197+195 5 4 75 97 2 326 305"
EYES = "33 160 158 133 153 144 362 385 387 263 373 380"
MOUTH = "61 39+40 37 0 267 269+270 291 405+321 314 17 84 181+91 78 82+81 13 312+311 308 317+402 14 87+178"

# Slices of the 68 points.
LANDMARK_GROUPS: dict[str, slice] = {
    "jaw": slice(0, 17),
    "right brow": slice(17, 22),
    "left brow": slice(22, 27),
    "nose": slice(27, 36),
    "right eye": slice(36, 42),
    "left eye": slice(42, 48),
    "mouth": slice(48, 68),
}


@lru_cache(maxsize=1)
def mesh_to_68() -> NDArray[np.intp]:
    """Index pairs (68, 2) into the mesh; both are the same where one point serves."""
    entries = " ".join((JAW, BROWS, NOSE, EYES, MOUTH)).split()
    assert len(entries) == 68, len(entries)
    pairs = [[int(number) for number in entry.split("+")] for entry in entries]
    return np.array([pair if len(pair) == 2 else pair * 2 for pair in pairs], dtype=np.intp)


def mesh_transform(face: Detection | Box) -> NDArray[np.float64]:
    """Affine map (2, 3) from image pixels to the mesh network's 192×192 input: centred, level eyes, with margin."""
    x, y, width, height = face.box if isinstance(face, Detection) else face
    if not (width > 0 and height > 0):
        raise ValueError(f"a face box needs a positive width and height; got {(x, y, width, height)}")
    angle = float(np.degrees(roll(face))) if isinstance(face, Detection) else 0.0
    centre = (x + width / 2, y + height / 2)
    matrix = cv2.getRotationMatrix2D(centre, angle, MESH_SIDE / (MESH_MARGIN * max(width, height)))
    matrix[:, 2] += (MESH_SIDE - 1) / 2 - np.array(centre)
    return matrix


def find_landmarks(image: NDArray[np.uint8], face: Detection | Box) -> tuple[NDArray[np.float32], float]:
    """The 68 landmarks as `landmarks_68` gives them, and how sure the network is, in [0, 1], that a face is there."""
    check_rgb(image)
    matrix = mesh_transform(face)
    mesh, presence = MESH(warp_square(image, matrix, MESH_SIDE).astype(np.float32) / np.float32(255))
    points = mesh.reshape(468, 3)[mesh_to_68(), :2].mean(axis=1)
    inverse = cv2.invertAffineTransform(matrix)
    sure = 1 / (1 + np.exp(-np.clip(presence.item(), -80, 80)))
    return (points @ inverse[:, :2].T + inverse[:, 2]).astype(np.float32), float(sure)


def landmarks_68(image: ImageSource, face: Detection | Box) -> NDArray[np.float32]:
    """
    The 68 landmarks of one face: float32 (68, 2), x and y in pixels of `image`, in iBUG's order (0–16 jaw, 17–26
    brows, 27–35 nose, 36–47 eyes, 48–67 mouth; the person's right side comes first).

    Args:
        image: uint8 RGB (height, width, 3), or a path or PIL image.
        face: a `Detection`, whose eyes tell the rotation, or a box (x, y, width, height) of an upright face, in pixels.

    Raises ValueError for an image that cannot be read or an empty box.
    """
    return find_landmarks(load_image(image), face)[0]
