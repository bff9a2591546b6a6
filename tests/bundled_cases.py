"""
What every network in the package says of the astronaut, to be compared with what it said before.

    python -m tests.bundled_cases       # writes tests/golden/bundled.json anew, after a deliberate change of weights
"""

import json
from pathlib import Path
from typing import Any

import skimage.data
import torch

from gimefive_hf import ExpressionRecognizer, detect_faces, landmarks_68
from gimefive_hf.bundled import BUNDLED
from gimefive_hf.configuration_gimefive import resolve_checkpoint

GOLDEN = Path(__file__).parent / "golden" / "bundled.json"


def detections() -> dict[str, Any]:
    """The faces' boxes (x, y, width, height) and 68 landmarks, in pixels."""
    image = skimage.data.astronaut()
    found = detect_faces(image)
    return {"boxes": [list(d.box) for d in found], "landmarks": [landmarks_68(image, d).tolist() for d in found]}


def outputs(name: str) -> dict[str, list[float]]:
    """Logits of the face in torch, and its probabilities in each runtime that the checkpoint has a file for."""
    image = skimage.data.astronaut()
    recognizer = ExpressionRecognizer.from_pretrained(name)
    (face,) = recognizer(image, landmarks=False)
    with torch.no_grad():
        logits = recognizer.model(recognizer.pixel_values([face.crop.image])).logits[0]
    result = {"logits": logits.tolist(), "torch": list(face.scores.values())}
    if (Path(resolve_checkpoint(name)) / "model.onnx").is_file():
        (face,) = ExpressionRecognizer.from_pretrained(name, backend="onnx")(image, landmarks=False)
        result["onnx"] = list(face.scores.values())
    return result


if __name__ == "__main__":
    golden = {"detections": detections(), "networks": {name: outputs(name) for name in BUNDLED}}
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")
    print(f"wrote {GOLDEN.name}: {', '.join(golden['networks'])}")
