"""`gimefive` commands as a user runs them."""

import json
import socket
import subprocess
import sys

import pytest
from PIL import Image

from gimefive_hf.cli import COMMANDS, build_parser, main
from gimefive_hf.commands.demo import require_free_port
from tests.images.test_images import bad_files


def test_table(photo, faceless, tmp_path, capsys):
    Image.fromarray(faceless).save(tmp_path / "coffee.png")
    assert main(["predict", str(photo), str(tmp_path / "coffee.png")]) == 0
    header, row, nobody = capsys.readouterr().out.splitlines()
    assert nobody.endswith("no face found")
    assert header.split()[-6:] == ["happiness", "surprise", "sadness", "anger", "disgust", "fear"]
    assert "happiness" in row
    scores = [float(word) for word in row.split()[-6:]]
    assert sum(scores) == pytest.approx(1, abs=0.005)


def test_json(photo, capsys):
    assert main(["predict", "--json", str(photo)]) == 0
    record = json.loads(capsys.readouterr().out)
    (face,) = record["faces"]
    assert face["emotion"] == "happiness"
    assert len(face["landmarks"]) == 68
    assert face["box"][2] > 50
    assert main(["predict", "--json", "--crops", str(photo)]) == 0
    assert json.loads(capsys.readouterr().out)["faces"][0]["detection_score"] is None


def test_bad_files_get_a_line_each_and_the_others_are_done(photo, tmp_path, capsys):
    bad = tmp_path / "bad"
    bad.mkdir()
    names = bad_files(bad)
    assert main(["predict", *(str(bad / name) for name in names), str(photo), str(tmp_path / "none.jpg")]) == 2
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == len(names) + 1
    for name, line in zip([*names, "none.jpg"], lines, strict=True):
        assert name in line
        assert "Traceback" not in line
    assert "happiness" in captured.out.splitlines()[-1]


def test_help_and_results_need_no_torch():
    """Seconds that a help text, a shell completion or the explorer's start would pay each time."""
    script = """
import contextlib, io, sys
from gimefive_hf.cli import COMMANDS, main
import evaluation.queries
commands = [name for name in COMMANDS if name != "train"]  # whose flags name the networks and corpora there are
for arguments in ([], *([name] for name in commands)):
    with contextlib.redirect_stdout(io.StringIO()) as text:
        try:
            main([*arguments, "--help"])
        except SystemExit as end:
            assert end.code == 0
    assert "usage: gimefive" in text.getvalue()
print(sorted({"torch", "transformers"} & set(sys.modules)))
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.stdout == "[]\n", result.stderr


def test_the_examples_of_the_help_texts_are_calls():
    for name, command in COMMANDS.items():
        words = command.example.split()
        assert words[:2] == ["gimefive", name]
        build_parser(name).parse_args(words[1:])  # exits for what it does not know


def test_as_a_program(photo):
    result = subprocess.run([sys.executable, "-m", "gimefive_hf.cli", "--help"], capture_output=True, text=True)
    assert result.returncode == 0
    assert "predict" in result.stdout
    result = subprocess.run([sys.executable, "-m", "gimefive_hf.cli", "predict"], capture_output=True, text=True)
    assert result.returncode == 2
    assert "PHOTO" in result.stderr


def test_train_is_the_training_command(tmp_path, capsys):
    missing = ["--data", str(tmp_path), "--out", str(tmp_path / "run")]
    assert main(["train", "--recipe", "flagship", *missing]) == 2
    assert "raf-db" in capsys.readouterr().err
    assert main(["train", "--recipe", "flagschiff", *missing]) == 2
    assert "one of the recipes" in capsys.readouterr().err


def test_demo_on_a_taken_port(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["demo", "--port", str(port), "--no-browser"]) == 2
    assert f"cannot listen on 127.0.0.1, port {port} (" in capsys.readouterr().err
    assert main(["demo", "--port", "70000", "--no-browser"]) == 2
    assert "choose another --port" in capsys.readouterr().err


def test_demo_on_an_address_of_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as free:
            port = free.getsockname()[1]
    except OSError:
        pytest.skip("this machine has no IPv6")
    require_free_port("[::1]", port)  # as Gradio takes it
    with (
        socket.create_server(("::1", port), family=socket.AF_INET6),
        pytest.raises(ValueError, match="cannot listen on"),
    ):
        require_free_port("[::1]", port)
