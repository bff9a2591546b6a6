"""
Measure faces at rest for the browser's page, with the page's own code: what its "lip corners up" is compared with.

    python -m spaces.live_resting --data DIR          # neutral faces of Muxspace's training split

Writes `live/src/resting.json`: mean and standard deviation of each measure of `live/src/landmarks.ts`.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gimefive_hf.faces.cropping import warp_square
from gimefive_hf.faces.detector import FaceDetector
from gimefive_hf.faces.landmarks import MESH_SIDE, mesh_transform
from gimefive_hf.faces.networks import FaceNetwork
from training.corpora.load import label_array, load_corpus
from training.corpora.schema import LABELS
from training.script import Script

from .build_live import LIVE, PACKAGES, install, run

RESULT = LIVE / "src" / "resting.json"
CORPUS = "muxspace"
# Neutral images that are looked at, evenly taken from all.
IMAGES = 2000
# Standard deviations from the median, by the median's own, beyond which a mesh has slipped off its face.
SLIPPED = 6.0
# Bundled with the page's code; meshes come on standard input, their measures go to standard output.
PROGRAM = """
import { measure, MEASURES } from "./src/landmarks";
import { readFileSync } from "node:fs";
const rows = JSON.parse(readFileSync(0, "utf8")).map((mesh) => measure(Float32Array.from(mesh)));
console.log(JSON.stringify({ names: MEASURES.map(({ name }) => name), rows }));
"""


def meshes(data: Path) -> NDArray[np.float32]:
    """The meshes (n, 1404) of neutral training images in which one face is found, in their network's pixels."""
    detector, network = FaceDetector(), FaceNetwork("face_landmark.tflite", ("conv2d_21",))
    rows = load_corpus(CORPUS, data)["train"]
    found = []
    neutral = np.flatnonzero(label_array(rows) == LABELS.index("neutral"))
    for index in neutral[:: max(1, len(neutral) // IMAGES)].tolist():
        image = np.array(rows[index]["image"].convert("RGB"))
        faces = detector(image)
        if len(faces) != 1:
            continue
        square = warp_square(image, mesh_transform(faces[0]), MESH_SIDE)
        found.append(network(square.astype(np.float32) / np.float32(255))[0].reshape(-1))
    if not found:
        raise ValueError(f"no neutral face was found in {CORPUS}")
    return np.array(found, np.float32)


def measure(found: NDArray[np.float32]) -> tuple[list[str], NDArray[np.float64]]:
    """Names of the page's measures, and their values (n, measures). Raises ValueError if Node or the page fails."""
    install()
    with tempfile.TemporaryDirectory() as temporary:
        program = Path(temporary) / "measure.mjs"
        bundler = [str(PACKAGES / ".bin" / "esbuild"), "--bundle", "--platform=node", "--format=esm", "--loader=ts"]
        bundler.append("--log-level=error")
        run([*bundler, f"--outfile={program}"], PROGRAM)
        given = json.dumps(np.round(found, 3).tolist())
        answer = json.loads(run(["node", str(program)], given))
    return answer["names"], np.array(answer["rows"])


def summary(names: list[str], values: NDArray[np.float64]) -> dict:
    """Mean and deviation of each measure, without the meshes that slipped."""
    middle = np.median(values, 0)
    spread = 1.4826 * np.median(np.abs(values - middle), 0)
    kept = values[(np.abs(values - middle) < SLIPPED * spread).all(1)]
    measures = {
        name: {"mean": round(float(mean), 2), "deviation": round(float(deviation), 2)}
        for name, mean, deviation in zip(names, kept.mean(0), kept.std(0), strict=True)
    }
    return {"corpus": CORPUS, "faces": len(kept), "measures": measures}


def write_resting(args: argparse.Namespace) -> None:
    result = summary(*measure(meshes(args.data)))
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(f"{result['faces']} faces at rest: {json.dumps(result['measures'])}")


if __name__ == "__main__":
    sys.exit(Script("live_resting", __doc__, data=True).run(write_resting))
