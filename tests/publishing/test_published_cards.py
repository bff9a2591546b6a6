"""
Everything is published on an empty Hub on loopback; then every block of code of every card there runs as it stands,
taken from the pushed README.md, in processes that have nothing but that Hub (and the package, where the card says so).
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from gimefive_hf.cli import build_parser
from tests.cases.hub_server import HubServer, Repo, hub
from tests.cases.servers import free_port

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.mark.slow  # every checkpoint is loaded, exported and sent; every example is a process; the pushed demo starts
def test_every_block_of_every_published_card_runs(astronaut, tmp_path):
    """A kind of block that this test does not know fails it: nothing is passed over."""
    work = tmp_path / "work"
    work.mkdir()
    Image.fromarray(astronaut).save(work / "photo.jpg")
    Image.fromarray(astronaut[40:210, 140:310]).save(work / "crop.png")
    with hub() as server:
        environment = os.environ | server.environment | {"HF_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
        done = run([sys.executable, "-m", "gimefive_hf.cli", "publish", "user"], work, environment)
        kinds = [kind for kind, _ in server.repos]
        pages = 3 if shutil.which("npm") else 2
        assert [kinds.count(kind) for kind in ("model", "dataset", "space")] == [5, 1, pages], done.stdout
        cards = {name: repo.files["README.md"].decode() for (_, name), repo in server.repos.items()}
        for (kind, name), repo in server.repos.items():
            assert "USER/NAME" not in cards[name]
            if kind == "model":
                run_model_card(name, repo, cards.pop(name), work, environment)
        demo = cards.pop("user/gimefive-demo")
        with running_demo(server, tmp_path / "demo", environment) as url:
            for language, code in BLOCK.findall(demo):
                command = {"python": [sys.executable, "-I", "-c"], "bash": ["bash", "-ec"]}[language]
                said = run([*command, code.replace("http://127.0.0.1:7860", url)], work, environment).stdout
                assert "happiness" in said, said
        ((_, code),) = BLOCK.findall(cards.pop("user/gimefive-explorer"))
        for line in code.splitlines():
            call = shlex.split(line, comments=True)
            assert not call or call[0] == "docker" or build_parser(call[1]).parse_args(call[1:])
        for name, card in cards.items():
            assert not BLOCK.findall(card), f"{name} has a block that nobody runs"


def run_model_card(name: str, repo: Repo, card: str, folder: Path, environment: dict[str, str]) -> None:
    """The first example needs the package, the second nothing but the Hub; a drawing and a citation are no code."""
    assert "model-index" in card
    assert "onnx/model.onnx" in repo.files
    blocks = BLOCK.findall(card)
    assert {language for language, _ in blocks} == {"python", "", "bibtex"}
    with_package, alone = [code for language, code in blocks if language == "python"]
    from_hub = with_package.replace(f'("{name.removeprefix("user/")}")', f'("{name}")', 1)
    assert from_hub != with_package
    for options, example in (([], with_package), ([], from_hub), (["-I"], alone)):
        assert "happiness" in run([sys.executable, *options, "-c", example], folder, environment).stdout


@contextmanager
def running_demo(server: HubServer, folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """The pushed Space's own files, started as its README's front matter says, with no other code of ours in reach."""
    for path, data in server.repos["space", "user/gimefive-demo"].files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    port = free_port()
    environment = environment | {"GRADIO_SERVER_PORT": str(port), "PYTHONPATH": ""}
    process = subprocess.Popen([sys.executable, "app.py"], cwd=folder, env=environment)
    try:
        end = time.monotonic() + 240
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                    assert answer.status == 200
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < end, "the demo does not answer"
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def run(command: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return done
