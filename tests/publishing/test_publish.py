"""`gimefive publish`: everything on a Hub on loopback, with the real client, again and again."""

import os
import re
import shutil
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

import pytest
from huggingface_hub import HfApi
from huggingface_hub.repocard import metadata_load

from spaces.assemble_explorer import assemble
from tests.cases.hub_server import TOKEN, hub
from tests.cases.servers import free_port, streamlit_answers
from tests.cases.video_cases import save_tiny
from training import publish

pytestmark = pytest.mark.usefixtures("online")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def small(tmp_path, tiny_onnx, monkeypatch):
    """One tiny checkpoint in the place of the package's; no page that npm must build."""
    checkpoints = tmp_path / "checkpoints"
    save_tiny(checkpoints / "tiny")
    shutil.copyfile(tiny_onnx, checkpoints / "tiny" / "model.onnx")
    monkeypatch.setattr(publish, "CHECKPOINTS", checkpoints)
    monkeypatch.setattr(publish, "find_spec", lambda name: None)
    monkeypatch.setattr("gimefive_hf.publishing.hub.WAITS", (0.01,))


NAMES = [("model", "user/tiny"), ("dataset", "user/gimefive-aggregate")]
NAMES += [("space", "user/gimefive-demo"), ("space", "user/gimefive-explorer")]


def call(server, monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(publish, "HfApi", lambda: HfApi(server.url, TOKEN))
    parser = ArgumentParser()
    publish.add_arguments(parser)
    return publish.run(parser.parse_args(["user", *arguments]))


def test_everything_is_published_linked_and_collected(small, monkeypatch, capsys):
    with hub() as server:
        assert call(server, monkeypatch, "--dry-run") == 0
        assert server.calls == [], "a dry run asks nobody"
        text = capsys.readouterr().out
        for kind, name in NAMES:
            assert f"would publish the {kind} {name}:" in text
        assert call(server, monkeypatch) == 0
        assert sorted(server.repos) == sorted(NAMES)
        for (kind, name), repo in server.repos.items():
            card = repo.files["README.md"].decode()
            assert card.startswith("---\n")
            for other_kind, other in NAMES:
                place = {"model": "", "dataset": "datasets/", "space": "spaces/"}[other_kind]
                assert (f"]({server.url}/{place}{other})" in card) == (other != name)
            if kind != "dataset":
                assert b"non-commercial" in repo.files["LICENSE.md"]
        model = server.repos["model", "user/tiny"].files
        assert {"raf-db.md", "tfeid.md"} <= server.repos["dataset", "user/gimefive-aggregate"].files.keys()
        assert {"onnx/model.onnx", "model.safetensors", "modeling_gimefive.py"} <= model.keys()
        assert b"neither calibrated nor evaluated" in model["README.md"]
        (collection,) = server.collections.values()
        assert sorted((item["type"], item["id"]) for item in collection["items"]) == sorted(NAMES)


def test_what_was_refused_is_named_and_the_same_command_finishes(small, monkeypatch, capsys):
    with hub() as server:
        server.paid = {"space"}
        assert call(server, monkeypatch, "--private") == 2
        error = capsys.readouterr().err
        assert error.count("not published: space user/gimefive-") == 2
        assert "(402)" in error
        assert "the same command goes on" in error
        assert sorted(server.repos) == sorted(NAMES[:2]), "the others are there, whole"
        before = {key: len(repo.commits) for key, repo in server.repos.items() if key[0] == "dataset"}
        server.paid = set()
        assert call(server, monkeypatch, "--private") == 0
        assert sorted(server.repos) == sorted(NAMES)
        assert all(repo.private for repo in server.repos.values())
        assert all(len(server.repos[key].commits) == count for key, count in before.items()), "nothing is sent twice"
        (collection,) = server.collections.values()
        assert len(collection["items"]) == 4
        assert call(server, monkeypatch) == 2, "a public one was asked for, and it is private"
        assert "is there and is private; public was asked for" in capsys.readouterr().err


def test_some_of_it_alone(small, monkeypatch):
    with hub() as server:
        assert call(server, monkeypatch, "--only", "tiny", "gimefive-aggregate") == 0
        assert sorted(server.repos) == sorted(NAMES[:2])
        with pytest.raises(ValueError, match=r"--only takes some of tiny, .*gimefive-explorer; got gimefive-demon"):
            call(server, monkeypatch, "--only", "gimefive-demon")


def test_mistakes(monkeypatch, small, capsys):
    with hub() as server:
        with pytest.raises(ValueError, match="USER is the name of a user"):
            publish.run(Namespace(user="a/b", private=False, dry_run=True, only=()))
        monkeypatch.setattr(publish, "HfApi", lambda: HfApi(server.url, "hf_wrong"))
        assert publish.publish("user")[0].endswith("set HF_TOKEN to a token that may write there")
    monkeypatch.setattr(publish, "HfApi", lambda: HfApi(endpoint="http://127.0.0.1:9", token=TOKEN))
    problems = publish.publish("user")
    assert len(problems) == 4
    monkeypatch.setattr(publish, "CARD", Path("nowhere"))
    with pytest.raises(ValueError, match="a clone of the project"):
        publish.run(Namespace(user="user", private=False, dry_run=True, only=()))
    assert all("was not reached" in problem or "refused" in problem for problem in problems)


def test_the_explorers_context_is_what_its_dockerfile_copies(tmp_path):
    files = {path.relative_to(tmp_path).as_posix() for path in assemble(tmp_path)}
    assert metadata_load(tmp_path / "README.md")["sdk"] == "docker"
    for line in (tmp_path / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY"):
            for source in line.split()[1:-1]:
                assert (tmp_path / source).exists(), source
    assert "evaluation/results/results.csv" in files
    assert not [name for name in files if "__pycache__" in name]


@pytest.mark.browser
@pytest.mark.slow  # a process of its own starts Streamlit with all of the library
def test_the_assembled_explorer_answers(tmp_path, browser):
    """As its image would start it, from the assembled files."""
    assemble(tmp_path)
    port = free_port()
    command = [sys.executable, "serve.py", "--port", str(port)]
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(command, cwd=tmp_path / "spaces" / "explorer", env=environment, stderr=subprocess.PIPE)
    try:
        assert streamlit_answers(port, process), process.communicate()[1]
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        page.get_by_text("Where gimefive is weakest").wait_for(timeout=120_000)
        worst = re.compile(r"of the [\d,]+ faces labelled \w+ in the test split of .+ recognises")
        page.get_by_text(worst).wait_for()
        assert page.get_by_test_id("stException").count() == 0
    finally:
        process.kill()
        process.communicate()
