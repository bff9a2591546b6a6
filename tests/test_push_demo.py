"""The assembled Space: complete, consistent, and pushed to a Hub on loopback."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub.repocard import metadata_load

from spaces.push_demo import DEMO, assemble, main

from .hub_server import hub

ROOT = Path(__file__).parents[1]


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


def test_dry_run_lists_the_parts(capsys):
    assert main(["user/demo", "--dry-run"]) == 0
    names = [line.split()[1] for line in capsys.readouterr().out.splitlines()[1:]]
    wanted = {"app.py", "clip_tab.py", "webcam_tab.py", "requirements.txt", "README.md", "examples/changing_face.mp4"}
    assert wanted <= set(names)
    assert "gimefive_hf/checkpoints/gimefive/model.safetensors" in names
    assert "gimefive_hf/faces/models/face_landmark.tflite" in names
    assert not [name for name in names if "__pycache__" in name]


def test_push_to_a_loopback_hub():
    with hub() as server:
        environment = os.environ | server.environment  # the client reads it when it is imported

        def push(*arguments: str) -> subprocess.CompletedProcess:
            call = [sys.executable, "-m", "spaces.push_demo", *arguments]
            return subprocess.run(call, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)

        done = push("user/demo", "--private")
        assert done.returncode == 0, done.stderr
        repo = server.repos["space", "user/demo"]
        assert repo.private
        assert repo.files["app.py"] == (DEMO / "app.py").read_bytes()
        wrong = push("not a name")
        assert wrong.returncode == 2
        assert "USER/NAME" in wrong.stderr


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
