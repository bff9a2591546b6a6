"""What README.md says is what happens."""

import re
from pathlib import Path

import pytest
from PIL import Image

from gimefive_hf.cli import COMMANDS

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_python_examples_run(astronaut, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(astronaut).save("astronaut.png")
    Image.fromarray(astronaut[40:210, 140:310]).save("crop.png")
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})


def test_commands_exist():
    named = set(re.findall(r"gimefive ([a-z]+)", README)) - {"user", "paper"}
    assert named <= set(COMMANDS) | {"command"}
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    for target in set(re.findall(r"make ([a-z-]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("word", ["/work", "/tmp"])
def test_no_path_of_a_machine(word):
    assert word not in README
