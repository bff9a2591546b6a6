"""
What our detector finds in scenes of a corpus's images, kept on disk: it costs 50 ms an image and no model changes it.

    runs/detections/CORPUS-SPLIT-WAY-DIGEST.npz    one row per image

The digest covers the scenes, the detector and the landmark network, so nothing stale is read. A search that is stopped
goes on where it was.
"""

import ast
import hashlib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluation import corruptions
from evaluation.store import read_arrays
from gimefive_hf.faces import cropping, detector, landmarks, networks, onet, retinaface
from gimefive_hf.faces import detections as faces
from gimefive_hf.faces.detections import Detection
from gimefive_hf.faces.detector import FaceDetector
from gimefive_hf.faces.landmarks import find_landmarks
from gimefive_hf.tables import whole_file

from . import scenes
from .scenes import Scene, bare_scene, make_scene, nearest_face, scene_seed

DEFAULT_CACHE = Path("runs/detections")
KEEP_EVERY = 200  # images


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
            pixels = corruptions.corrupt(pixels[None], *self.corruption)[0]
        crop = np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())
        return make_scene(crop, seed, self.face, self.roll) if self.face else bare_scene(crop)


# Faces that are hard to find or to read, by the last part of their protocol's name.
HARD_WAYS = {
    way.name: way
    for way in (
        *(Way(face=side) for side in (24, 32, 48, 64, 96)),
        *(Way(roll=angle) for angle in (15, 30, 45, 60, 90)),
        *(Way(corruption=(name, s)) for name in ("darkness", "gaussian_blur", "mask", "glasses") for s in (3, 5)),
    )
}


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
    """Of everything that decides what is found where: code without its comments, and the face networks."""
    decide = (corruptions, cropping, detector, faces, landmarks, onet, retinaface, scenes, Way)
    trees = [ast.dump(without_docstrings(ast.parse(inspect.getsource(part)))) for part in decide]
    digest = hashlib.sha256(repr(trees).encode())
    for path in sorted([*networks.MODELS_DIR.glob("*.tflite"), *networks.MODELS_DIR.glob("*.onnx")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def without_docstrings(tree: ast.AST) -> ast.AST:
    """The same tree, changed in place."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
            and ast.get_docstring(node, clean=False) is not None
        ):
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
) -> Found:
    """
    Search the scenes of images uint8 RGB (3, h, w) for them, or read what was found.

    Raises ValueError if the kept file is broken; it may then be removed.
    """
    way, cache = way or Way(), cache or DEFAULT_CACHE
    path = cache / f"{corpus}-{split}-{way.name}-{digest_of_search()}.npz"
    known, kept = read_kept(path)
    arrays, places = empty(len(sources)), [known.get(source) for source in sources]
    for index, place in enumerate(places):
        if place is not None:
            for name, array in arrays.items():
                array[index] = kept[name][place]
    missing = [index for index, place in enumerate(places) if place is None]
    for start in range(0, len(missing), KEEP_EVERY):
        chosen = missing[start : start + KEEP_EVERY]
        for index in chosen:
            search_scene(way.scene(pixels[index], scene_seed(corpus, sources[index])), arrays, index)
        kept = {name: np.concatenate([kept[name], array[chosen]]) for name, array in arrays.items()}
        known |= {sources[index]: len(known) + i for i, index in enumerate(chosen)}
        keep(path, list(known), kept)
        print(f"{len(places) - len(missing) + start + len(chosen)} of {len(places)} scenes searched", flush=True)
    return Found(**arrays)


def search_scene(scene: Scene, arrays: dict[str, np.ndarray], index: int) -> None:
    """Fill one row of `arrays`, in place, if the crop's face is found again."""
    face = nearest_face(scene, FaceDetector()(scene.image))
    if face is not None:
        arrays["found"][index] = True
        arrays["boxes"][index], arrays["scores"][index] = face.box, face.score
        arrays["keypoints"][index] = face.keypoints
        arrays["landmarks"][index] = find_landmarks(scene.image, face)[0]


def read_kept(path: Path) -> tuple[dict[str, int], dict[str, np.ndarray]]:
    """Where in the kept arrays each source stands, and the arrays."""
    if not path.is_file():
        return {}, empty(0)
    arrays = read_arrays(path)
    places = {source: place for place, source in enumerate(arrays["sources"].tolist())}
    return places, {name: arrays[name] for name in empty(0)}


def keep(path: Path, sources: list[str], arrays: dict[str, np.ndarray]) -> None:
    """In one go, so that a killed search leaves no half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part, open(part, "wb") as file:
        np.savez(file, allow_pickle=False, sources=np.array(sources), **arrays)


def to_tensor(crop: NDArray[np.uint8]) -> Tensor:
    """uint8 RGB (h, w, 3) → (3, h, w)."""
    return torch.from_numpy(crop).permute(2, 0, 1)
