"""Checkpoints that are not whole: one line, never random weights in silence."""

import json
import shutil
from pathlib import Path

import pytest

from gimefive_hf import from_pretrained
from gimefive_hf.cli import main
from tests.cases.video_cases import save_tiny


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("whole"))


def config(folder: Path, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


WEIGHTS, PROCESSOR = "model.safetensors", "preprocessor_config.json"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: (d / WEIGHTS).write_bytes((d / WEIGHTS).read_bytes()[:-100]), "file not fully covered"),
        (lambda d: (d / WEIGHTS).write_bytes(b""), "header too small"),
        (lambda d: (d / WEIGHTS).unlink(), "no file named model.safetensors"),
        (lambda d: (d / PROCESSOR).unlink(), "containing a preprocessor_config.json"),
        (lambda d: (d / PROCESSOR).write_text("{"), "not a valid JSON"),
        (lambda d: (d / "config.json").unlink(), "not those of its config.json: 41 weights are missing"),
        (lambda d: (d / "config.json").write_text("[]"), "must be a mapping"),
        (lambda d: (d / "config.json").write_bytes(b"\xff\0"), "not a valid JSON"),
        (lambda d: config(d, widths=[8, 32]), "their shapes differ"),
        (lambda d: config(d, batch_nrom=True), "no option batch_nrom"),
        (lambda d: config(d, widths="x"), "expected a list, got str"),
        (lambda d: config(d, architecture="vit"), "architecture must be one of conv"),
    ],
)
def test_a_checkpoint_that_is_not_whole(whole, tmp_path, capsys, spoil, message):
    folder = tmp_path / "model"
    shutil.copytree(whole, folder)
    spoil(folder)
    with pytest.raises(ValueError, match="cannot be loaded") as error:
        from_pretrained(folder)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert capsys.readouterr().err.count("\n") <= 1, "no report of several screens"


def test_the_command_says_it_in_one_line(whole, tmp_path, capsys):
    shutil.copytree(whole, tmp_path / "model")
    (tmp_path / "model" / WEIGHTS).write_bytes(b"\0" * 1000)
    assert main(["predict", "--model", str(tmp_path / "model"), "--backend", "torch", "a.jpg"]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert error[-1].startswith("gimefive predict: the checkpoint")
    assert "Traceback" not in "".join(error)


@pytest.mark.parametrize("name", ["gimefiv", "no/such-model"])
def test_a_name_that_is_none_is_told_those_that_are(capsys, name):
    assert main(["predict", "--model", name, "a.jpg"]) == 2
    assert f"no model '{name}': expected one of gimefive, gimefive-7, gimefive-fast, " in capsys.readouterr().err
