"""The public API's types, as pyright sees them for whoever uses the package."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USE = """
from typing import assert_type

import numpy as np
from numpy.typing import NDArray

import gimefive_hf
from gimefive_hf import ExpressionRecognizer, Face, GiMeFiveForImageClassification
from gimefive_hf import detect_faces, landmarks_68, load_image, resolve_checkpoint

fer = gimefive_hf.from_pretrained("gimefive")
assert_type(fer, ExpressionRecognizer)
faces = fer("a.png")
assert_type(faces, list[Face])
assert_type(fer(["a.png", "b.png"]), list[list[Face]])
assert_type(faces[0].emotion, str)
assert_type(faces[0].scores, dict[str, float])
assert_type(faces[0].landmarks, NDArray[np.float32] | None)
assert_type(load_image("a.png"), NDArray[np.uint8])
assert_type(landmarks_68("a.png", detect_faces("a.png")[0]), NDArray[np.float32])
GiMeFiveForImageClassification.from_pretrained(resolve_checkpoint("gimefive"))
"""
WRONG = "import gimefive_hf\n\ngimefive_hf.from_pretrained('gimefive')(3).emotion\n"


def pyright(path: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "basedpyright", "--level", "error", "--pythonpath", sys.executable, str(path)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.slow  # pyright reads all that the package imports
def test_pyright_knows_the_public_api(tmp_path):
    pytest.importorskip("basedpyright")
    (tmp_path / "use.py").write_text(USE)
    done = pyright(tmp_path / "use.py")
    assert done.returncode == 0, done.stdout
    (tmp_path / "wrong.py").write_text(WRONG)
    assert "reportArgumentType" in pyright(tmp_path / "wrong.py").stdout, "3 is no picture"
