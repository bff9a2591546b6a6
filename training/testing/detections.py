"""
What our detector finds in scenes of a corpus's images, kept on disk: it costs 50 ms an image and no model changes it.

    runs/detections/CORPUS-SPLIT-WAY-DIGEST.npz

The digest covers the scenes, the detector and the landmark network, so nothing stale is read. A search that is stopped
goes on where it was.
"""

import ast
import hashlib
import inspect
import os
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluation.corruptions import corrupt
from evaluation.store import read_arrays
from gimefive_hf.faces import cropping, detector, networks
from gimefive_hf.faces.detections import Detection, overlap, suppress
from gimefive_hf.faces.detector import FaceDetector
from gimefive_hf.faces.landmarks import LandmarkDetector

from . import scenes
from .scenes import Scene, bare_scene, make_scene, nearest_face, scene_seed

DEFAULT_CACHE = Path("runs/detections")
SAVE_EVERY = 500  # images


@dataclass(frozen=True)
class Way:
    """
    How an image reaches the detector.

    Args:
        face: side in pixels at which it stands in the scene; 0: the image itself is the whole photo.
        roll: degrees by which it is turned clockwise.
        corruption: name and strength of a corruption that it suffers before.
    """

    face: int = scenes.FACE
    roll: float = 0.0
    corruption: tuple[str, int] | None = None

    @property
    def name(self) -> str:
        """`scene-128`, `bare`, `scene-128-roll30`, `scene-128-darkness5`."""
        text = f"scene-{self.face}" if self.face else "bare"
        text += f"-roll{self.roll:g}" if self.roll else ""
        return text + (f"-{self.corruption[0]}{self.corruption[1]}" if self.corruption else "")

    def scene(self, pixels: Tensor, seed: int) -> Scene:
        """The scene of one image, uint8 RGB (3, h, w)."""
        if self.corruption:
            pixels = corrupt(pixels[None], *self.corruption)[0]
        crop = np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())
        return make_scene(crop, seed, self.face, self.roll) if self.face else bare_scene(crop)


@dataclass(frozen=True)
class Found:
    """
    The faces found again in n scenes. `found` bool (n,), `boxes` float32 (n, 4), `scores` (n,), `keypoints`
    (n, 6, 2), `landmarks` (n, 68, 2), all in pixels of the scene; NaN where none was found.
    """

    found: NDArray[np.bool_]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    landmarks: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.found)

    def detection(self, index: int) -> Detection:
        """The face of a scene in which one was found."""
        assert self.found[index], index
        x, y, width, height = self.boxes[index].tolist()
        return Detection((x, y, width, height), float(self.scores[index]), self.keypoints[index])


def digest_of_search() -> str:
    """Of everything that decides what is found where: code without its comments, constants, and the face networks."""
    parts = (
        FaceDetector,
        detector.windows,
        suppress,
        overlap,
        cropping.warp_square,
        make_scene,
        corrupt,
        Way.scene,
    )
    trees = [ast.dump(without_docstrings(ast.parse(textwrap.dedent(inspect.getsource(part))))) for part in parts]
    constants = (detector.DETECTOR_SIDE, detector.WIDER, detector.LEAST_FILLING, scenes.SCENE, scenes.EDGE)
    digest = hashlib.sha256(repr((trees, constants)).encode())
    for path in sorted(networks.MODELS_DIR.glob("*.tflite")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def without_docstrings(tree: ast.AST) -> ast.AST:
    """The same tree, changed in place."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return tree


def empty(n: int) -> dict[str, np.ndarray]:
    """The arrays of `Found` for n scenes without a face."""
    shapes = {"boxes": (n, 4), "scores": (n,), "keypoints": (n, 6, 2), "landmarks": (n, 68, 2)}
    arrays = {name: np.full(shape, np.nan, np.float32) for name, shape in shapes.items()}
    return {"found": np.zeros(n, bool)} | arrays


def find_faces(
    corpus: str,
    split: str,
    pixels: Sequence[Tensor],
    sources: Sequence[str],
    way: Way | None = None,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Found:
    """
    Search the scenes of images uint8 RGB (3, h, w) for them, or read what was found.

    Raises ValueError if the kept file is broken; it may then be removed.
    """
    way, cache = way or Way(), cache or DEFAULT_CACHE
    names = hashlib.sha256("\n".join(sources).encode()).hexdigest()[:8]
    path = cache / f"{corpus}-{split}-{way.name}-{names}-{digest_of_search()}.npz"
    arrays, done = read_kept(path, len(sources))
    search, mesh = FaceDetector(), LandmarkDetector()
    for index in range(done, len(sources)):
        scene = way.scene(pixels[index], scene_seed(corpus, sources[index]))
        face = nearest_face(scene, search(scene.image))
        if face is not None:
            arrays["found"][index] = True
            arrays["boxes"][index], arrays["scores"][index] = face.box, face.score
            arrays["keypoints"][index] = face.keypoints
            arrays["landmarks"][index] = mesh(scene.image, face)[0]
        if (index + 1) % SAVE_EVERY == 0 or index + 1 == len(sources):
            keep(path, arrays, index + 1)
            if progress:
                progress(index + 1, len(sources))
    return Found(**arrays)


def read_kept(path: Path, n: int) -> tuple[dict[str, np.ndarray], int]:
    """The arrays as far as they were filled, and how far."""
    if not path.is_file():
        return empty(n), 0
    arrays = read_arrays(path)
    return {name: arrays[name] for name in empty(0)}, int(arrays["done"])


def keep(path: Path, arrays: dict[str, np.ndarray], done: int) -> None:
    """In one go, so that a killed search leaves no half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    with open(part, "wb") as file:
        np.savez(file, allow_pickle=False, done=np.int64(done), **arrays)
    os.replace(part, path)


def to_tensor(crop: NDArray[np.uint8]) -> Tensor:
    """uint8 RGB (h, w, 3) → (3, h, w)."""
    return torch.from_numpy(crop).permute(2, 0, 1)
