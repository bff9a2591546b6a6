"""The assembled demo: complete, consistent, and starting alone."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub.repocard import metadata_load

from spaces.assemble_demo import DEMO, assemble

ROOT = Path(__file__).parents[2]


def test_front_matter_and_requirements():
    card = metadata_load(DEMO / "README.md")
    assert card["sdk"] == "gradio"
    assert (DEMO / card["app_file"]).is_file()
    pins = dict(re.findall(r"^([A-Za-z_-]+)==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    assert card["sdk_version"] == pins["gradio"]
    own = dict(re.findall(r"^([A-Za-z_-]+)==(\S+)", (DEMO / "requirements.txt").read_text(), re.MULTILINE))
    assert len(own) > 10
    assert own == {name: pins[name] for name in own}
    assert len(card["short_description"]) <= 60, "the Hub's limit"


def test_the_parts(tmp_path):
    names = {path.relative_to(tmp_path).as_posix() for path in assemble(tmp_path)}
    wanted = {"app.py", "clip_tab.py", "webcam_tab.py", "requirements.txt", "README.md", "examples/changing_face.mp4"}
    wanted |= {"gimefive_hf/checkpoints/gimefive/model.safetensors", "gimefive_hf/faces/models/face_landmark.tflite"}
    assert wanted <= names
    assert {name.split("/")[2] for name in names if "/checkpoints/" in name} == {"gimefive", "gimefive-7"}
    assert not [name for name in names if "__pycache__" in name]


@pytest.mark.slow  # a process of its own imports torch and gradio
def test_the_assembled_space_starts_alone(tmp_path):
    assemble(tmp_path)
    code = "import app, gimefive_hf; page = app.build(app.open_place(), 'gimefive'); "
    code += "print(gimefive_hf.__file__); print(len(page.fns))"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) in done.stdout
