"""The wheel in an environment of its own, used from another folder, as one who has no clone uses it."""

import os
import shutil
import subprocess
import sys
import sysconfig
import time
import venv
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from PIL import Image

from gimefive_hf import cli
from tests.cases.servers import free_port

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory, astronaut):
    """Runs `gimefive …` of the installed wheel in a folder with one photo; third parties' packages are ours."""
    base = tmp_path_factory.mktemp("installed")
    clone, home, away = base / "clone", base / "venv", base / "away"
    clone.mkdir()
    for name in ("gimefive_hf", "evaluation", "training", "spaces"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "THIRD_PARTY.md"):
        shutil.copy(ROOT / name, clone)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    wheel = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(base), str(clone)]
    subprocess.run(wheel, check=True, capture_output=True)
    venv.create(home)
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(home), "platbase": str(home)}))
    # a path in a .pth file is searched, but its own .pth files, such as our editable install's, are not read
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    (file,) = base.glob("*.whl")
    install = [*pip, "--python", str(home / "bin" / "python"), "install", "--no-deps", "--ignore-installed", str(file)]
    subprocess.run(install, check=True, capture_output=True)
    (away / "photos").mkdir(parents=True)
    Image.fromarray(astronaut).save(away / "photos" / "astronaut.png")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"HOME": str(base)}

    def start(*arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            [home / "bin" / "gimefive", *arguments],
            cwd=away,
            env=environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    return start


@pytest.mark.slow  # builds the wheel and starts a fresh process for each command
def test_commands(installed):
    assert "happiness" in installed("predict", "photos/astronaut.png").communicate()[0]
    assert "1 images (0 of them scored before), 1 faces" in installed("score", "photos", "-o", "s.csv").communicate()[0]
    training = installed("train", "--recipe", "flagship", "--data", "photos", "--out", "run")
    assert "no image of this corpus" in training.communicate()[0]
    assert training.returncode == 2


@pytest.mark.slow  # builds the wheel and starts both apps
@pytest.mark.parametrize(("app", "page"), [("explorer", "_stcore/health"), ("demo", "")])
def test_apps(installed, app, page):
    port = free_port()
    process = installed(app, "--port", str(port), "--no-browser")
    try:
        deadline = time.monotonic() + 240
        while True:
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < deadline
            try:
                with urlopen(f"http://127.0.0.1:{port}/{page}") as answer:
                    assert answer.status == 200
                    break
            except URLError:
                time.sleep(0.5)
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.mark.parametrize("command", ["demo", "train", "video"])
def test_a_missing_extra_is_one_line(command, monkeypatch, capsys):
    def lacking(name):
        raise ModuleNotFoundError("No module named 'something'", name="something.inside")

    monkeypatch.setattr(cli, "command_module", lacking)
    assert cli.main([command]) == 2
    extra = cli.COMMANDS[command].extra
    advice = f'this needs the package something: pip install ".[{extra}]" in a clone'
    assert capsys.readouterr().err == f"gimefive {command}: {advice}\n"
