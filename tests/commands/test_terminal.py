"""Names of files on a terminal: whatever they are, one line each, and the command goes on."""

import io
import json
import os
import sys

import pytest
from PIL import Image

from gimefive_hf.cli import main
from gimefive_hf.terminal import terminal_text
from tests.cases.video_cases import save_tiny


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_predict_on_a_strict_terminal(tmp_path, faceless, monkeypatch, encoding, options):
    names = [b"a\xff.png", "grün\r.png".encode(), b"plain.png"]
    for name in names:
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            Image.fromarray(faceless[:64, :64]).save(file, "PNG")
    model = save_tiny(tmp_path / "model")
    photos = [os.path.join(str(tmp_path), os.fsdecode(name)) for name in names]
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding, errors="strict", newline=""))
    assert main(["predict", *photos, "--model", str(model), *options]) == 0
    sys.stdout.flush()
    lines = written.getvalue().decode(encoding).splitlines()
    if options:
        assert [json.loads(line)["photo"] for line in lines] == photos
    else:
        assert len(lines) == 4
        assert "a\\udcff.png" in lines[1]
        assert "n\\r.png" in lines[2]


def test_control_characters_are_escaped():
    assert terminal_text("a\x1b[2Jb\r\nc\x9bd\x7f") == "a\\x1b[2Jb\\r\\nc\\x9bd\\x7f"
    assert terminal_text("grün ☂ 日本") == "grün ☂ 日本"
