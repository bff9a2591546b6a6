"""
Stored answers of every network in the package, on both runtimes, and of the face detector.

    python -m tests.cases.golden_networks  # writes tests/golden/networks.json, after a network or the detector changed

The test compares numbers, so that nothing that is changed around the networks (an architecture's code, the
preprocessing, an export, a version of a library) changes what they say unseen.
"""

import json
from pathlib import Path

import numpy as np

from gimefive_hf import detect_faces, landmarks_68
from gimefive_hf.bundled import BUNDLED
from gimefive_hf.runtimes.backends import load_predictor
from gimefive_hf.runtimes.onnx_predictor import onnx_file
from tests.cases.video_cases import face_photo

GOLDEN = Path(__file__).parents[1] / "golden" / "networks.json"
# Largest difference of a logit: int8 kernels of different processors round in different places.
TOLERANCE = {"fp32": 1e-3, "int8": 0.15}


def crops() -> list[np.ndarray]:
    """The face as it is, farther away and dimmer, and a place without any."""
    whole = face_photo()
    return [whole[50:170, 160:280], whole[20:220, 120:320] // 2, whole[300:400, 20:120]]


def networks() -> list[tuple[str, str]]:
    """(name, backend) of what is in the package."""
    return [
        (name, backend) for name in BUNDLED for backend in ("torch", "onnx") if backend == "torch" or onnx_file(name)
    ]


def answers(name: str, backend: str) -> tuple[str, np.ndarray]:
    """Precision, and logits (3, classes) of `crops`, averaged over the network's views."""
    predictor = load_predictor(name, backend)
    return predictor.precision, predictor.logits(predictor.prepare(crops()))


def boxes() -> list[list[float]]:
    """Boxes of the faces in the portrait, each with its score."""
    return [[*detection.box, detection.score] for detection in detect_faces(face_photo())]


def landmarks() -> list[list[list[float]]]:
    """The 68 landmarks of each of these faces, in pixels."""
    return [landmarks_68(face_photo(), detection).tolist() for detection in detect_faces(face_photo())]


def main() -> None:
    places = {"boxes": boxes(), "landmarks": landmarks()}
    golden = {name: np.round(values, 3).tolist() for name, values in places.items()} | {"logits": {}}
    for name, backend in networks():
        precision, logits = answers(name, backend)
        golden["logits"][f"{name}, {backend}"] = {
            "precision": precision,
            "logits": np.round(logits.astype(float), 4).tolist(),
        }
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")
    print(GOLDEN)


if __name__ == "__main__":
    main()
