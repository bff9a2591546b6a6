"""Pushing with the real client to a small Hub on loopback, and loading back where this project is not."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from huggingface_hub import HfApi, ModelCard
from huggingface_hub.errors import RepositoryNotFoundError
from PIL import Image

from gimefive_hf.publishing.hub import fill
from tests.cases.hub_server import TOKEN, hub
from training.push import main

LOAD = """
import json, sys, torch
from transformers import AutoImageProcessor, AutoModel, AutoModelForImageClassification, pipeline
model = AutoModelForImageClassification.from_pretrained("user/tiny", trust_remote_code=True).eval()
processor = AutoImageProcessor.from_pretrained("user/tiny", trust_remote_code=True)
assert not any(name == "gimefive_hf" or name.startswith("gimefive_hf.") for name in sys.modules)
image = (torch.arange(3 * 20 * 20) % 251).reshape(3, 20, 20).to(torch.uint8)
with torch.no_grad():
    logits = model(processor(image, return_tensors="pt")["pixel_values"]).logits
    features = AutoModel.from_pretrained("user/tiny", trust_remote_code=True).eval()
    assert type(features).__name__ == "GiMeFiveModel", type(features)
    ours = model.gimefive(processor(image, return_tensors="pt")["pixel_values"]).pooler_output
    theirs = features(processor(image, return_tensors="pt")["pixel_values"]).pooler_output
    assert torch.equal(ours, theirs)
from PIL import Image
classify = pipeline("image-classification", model="user/tiny", trust_remote_code=True)
assert len(classify(Image.new("RGB", (30, 30), "red"))) == 5  # the pipeline's own default
print("LOGITS", json.dumps([logits[0].tolist(), model.config.id2label[0], model.config.temperature]))
"""


@pytest.fixture
def checkpoint(tiny_model, tiny_processor, tiny_onnx, tmp_path) -> Path:
    folder = tmp_path / "model"
    tiny_model.config.temperature = 1.25
    tiny_model.save_pretrained(folder)
    tiny_processor.save_pretrained(folder)
    shutil.copyfile(tiny_onnx, folder / "model.onnx")
    row = {"images": 600, "accuracy": 0.625, "calibrated": {"ece": 0.0123}}
    (folder / "calibration.json").write_text(json.dumps({"held_out": {"raf-db": row}}))
    return folder


def test_dry_run_lists_the_files_and_asks_nobody(checkpoint, tmp_path, capsys):
    further = tmp_path / "results.csv"
    further.write_text("a,b\n")
    assert main([str(checkpoint), "user/tiny", "--dry-run", "--private", "--also", str(further)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "would push to private user/tiny:"
    files = "LICENSE.md README.md bundled.py calibration.json config.json configuration_gimefive.py emotions.py "
    files += "example.jpg image_processing_gimefive.py model.safetensors modeling_gimefive.py onnx/model.onnx "
    files += "preprocessor_config.json results.csv"
    assert [line.split()[1] for line in lines[1:-1]] == files.split()
    assert "in 14 files" in lines[-1]


def test_without_the_packages_that_write_onnx_it_says_what_is_left_out(checkpoint, monkeypatch):
    (checkpoint / "model.onnx").unlink()
    monkeypatch.setattr("gimefive_hf.publishing.staging.find_spec", lambda name: None)
    with pytest.warns(UserWarning, match=r"onnx/model\.onnx is left out: pip install"):
        assert main([str(checkpoint), "user/tiny", "--dry-run"]) == 0


def test_push_and_load_in_a_fresh_process(
    checkpoint, tiny_model, tiny_processor, tmp_path, online, monkeypatch, capsys
):
    with hub() as server:
        environment = os.environ | server.environment | {"HF_HOME": str(tmp_path / "home")}
        monkeypatch.setattr("gimefive_hf.publishing.models.HfApi", lambda: HfApi(server.url, TOKEN))
        assert main([str(checkpoint), "user/tiny", "--private"]) == 0
        repo = server.repos["model", "user/tiny"]
        assert repo.private
        assert capsys.readouterr().out.strip() == f"{server.url}/user/tiny/commit/{repo.commits[-1][0]}"
        assert repo.files["model.safetensors"] == (checkpoint / "model.safetensors").read_bytes()
        card = repo.files["README.md"].decode()
        assert "license_name: research-only-non-commercial" in card
        assert "license_link: LICENSE.md" in card
        (example,) = ModelCard(card).data.widget
        assert Image.open(io.BytesIO(repo.files[example["src"]])).size == (224, 224)
        assert "value: 0.625" in card
        assert "| raf-db | 600 | 62.5 | 0.012 |" in card
        # Nothing of this project on the path: -I ignores the working folder and PYTHONPATH.
        load = [sys.executable, "-I", "-c", LOAD]
        loaded = subprocess.run(load, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert loaded.returncode == 0, loaded.stderr[-3000:]
        with pytest.raises(RepositoryNotFoundError):  # private is private
            HfApi(server.url, "hf_other").model_info("user/tiny")
    line = next(line for line in loaded.stdout.splitlines() if line.startswith("LOGITS"))
    logits, first, temperature = json.loads(line.removeprefix("LOGITS "))
    assert (first, temperature) == ("happiness", 1.25)
    image = (torch.arange(3 * 20 * 20) % 251).reshape(3, 20, 20).to(torch.uint8)
    with torch.no_grad():
        expected = tiny_model(tiny_processor(image, return_tensors="pt")["pixel_values"]).logits[0]
    torch.testing.assert_close(torch.tensor(logits), expected, rtol=0, atol=1e-5)


def test_folder_without_checkpoint_and_card_without_front_matter(checkpoint, tmp_path, capsys):
    assert main([str(tmp_path), "user/tiny", "--dry-run"]) == 2
    assert "it has no config.json" in capsys.readouterr().err
    card = tmp_path / "card.md"
    card.write_text("# A model\n")
    assert main([str(checkpoint), "user/tiny", "--dry-run", "--card", str(card)]) == 2
    assert "front matter" in capsys.readouterr().err


def test_the_hub_refuses(checkpoint, online, monkeypatch, capsys):
    """Real client, real server: a wrong token, and a public repository where a private one was asked for."""
    with hub() as server:
        monkeypatch.setattr("gimefive_hf.publishing.models.HfApi", lambda: HfApi(server.url, TOKEN + "x"))
        assert main([str(checkpoint), "user/tiny"]) == 2
        assert "the Hub refused user/tiny (401)" in capsys.readouterr().err
        monkeypatch.setattr("gimefive_hf.publishing.models.HfApi", lambda: HfApi(server.url, TOKEN))
        assert main([str(checkpoint), "user/tiny"]) == 0
        assert main([str(checkpoint), "user/tiny", "--private"]) == 2
        assert "user/tiny is there and is public" in capsys.readouterr().err
        assert len(server.repos["model", "user/tiny"].commits) == 2  # the empty one and one push


def test_model_push_to_hub_is_the_same_push(checkpoint, tmp_path, online, monkeypatch):
    """`model.push_to_hub` and `training.push` fill a repository with the same files."""
    from gimefive_hf import GiMeFiveForImageClassification

    with hub() as server:
        monkeypatch.setattr("gimefive_hf.publishing.models.HfApi", lambda token=None: HfApi(server.url, token or TOKEN))
        assert main([str(checkpoint), "user/tiny"]) == 0
        model = GiMeFiveForImageClassification.from_pretrained(checkpoint)
        assert "/commit/" in model.push_to_hub("user/tiny2", private=True, token=TOKEN)
        one, two = server.repos["model", "user/tiny"], server.repos["model", "user/tiny2"]
        assert two.private
        assert one.files.keys() == two.files.keys()
        for name in one.files:
            if name not in ("README.md", "onnx/model.onnx", "config.json"):
                assert one.files[name] == two.files[name], name
        assert one.files["README.md"].decode().replace("tiny", "tiny2") == two.files["README.md"].decode()
        auto_map = json.loads(two.files["config.json"])["auto_map"]
        assert auto_map["AutoModel"] == "modeling_gimefive.GiMeFiveModel"
        assert auto_map["AutoModelForImageClassification"] == "modeling_gimefive.GiMeFiveForImageClassification"
        with pytest.raises(ValueError, match="got max_shard_size"):
            model.push_to_hub("user/tiny3", max_shard_size="1MB")


def test_a_hub_that_is_busy_is_asked_again(checkpoint, online, monkeypatch, capsys):
    """429 and 500 pass; a Hub that stays down is one line, and the same command finishes when it is back."""
    monkeypatch.setattr("gimefive_hf.publishing.hub.WAITS", (0.01, 0.01))
    with hub() as server:
        monkeypatch.setattr("gimefive_hf.publishing.models.HfApi", lambda: HfApi(server.url, TOKEN))
        server.troubles = [429, 500]
        assert main([str(checkpoint), "user/tiny"]) == 0
        server.troubles = [503] * 100
        assert main([str(checkpoint), "user/other"]) == 2
        assert "the Hub refused user/other (503)" in capsys.readouterr().err
        server.troubles = []
        assert main([str(checkpoint), "user/other"]) == 0
        commits = len(server.repos["model", "user/other"].commits)
        assert main([str(checkpoint), "user/other"]) == 0
        assert len(server.repos["model", "user/other"].commits) == commits, "nothing new, no commit"


def test_the_hub_says_how_long_to_wait(online, monkeypatch, tmp_path):
    (tmp_path / "README.md").write_text("---\nlicense: other\n---\n")
    slept = []
    monkeypatch.setattr("gimefive_hf.publishing.hub.time.sleep", slept.append)
    with hub() as server:
        api = HfApi(server.url, TOKEN)
        server.troubles, server.retry_after = [429], 7
        fill(api, "user/tiny", tmp_path)
        assert slept == [7]
        server.troubles, server.retry_after = [429], 4000
        with pytest.raises(ValueError, match=r"refused user/other \(429\): Trouble; the same command goes on later"):
            fill(api, "user/other", tmp_path)
        assert slept == [7], "nobody waits for an hour"


KILLED = """
import sys
from huggingface_hub import HfApi
from pathlib import Path
from gimefive_hf.publishing.hub import fill
fill(HfApi(), "user/tiny", Path(sys.argv[1]))
"""


@pytest.mark.slow  # a process for each place where it is killed
def test_a_killed_push_is_finished_by_the_same_command(tmp_path):
    """kill -9 when the n-th call has reached the Hub, which answers nobody then."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "README.md").write_text("---\nlicense: other\n---\n")
    (tmp_path / "files" / "model.safetensors").write_bytes(bytes(200_000))
    with hub() as server:
        environment = os.environ | server.environment | {"HF_HOME": str(tmp_path / "home")}
        running: list[subprocess.Popen] = []

        def kill(number: int) -> None:
            if number == (1, 4, 7)[len(running) - 1]:
                running[-1].kill()
                running[-1].wait()

        server.at_call = kill
        for _ in range(3):
            server.calls.clear()
            running.append(subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path / "files")], env=environment))
            assert running[-1].wait() == -9
            assert all(set(repo.files) in (set(), {"README.md", "model.safetensors"}) for repo in server.repos.values())
        server.at_call = lambda number: None
        again = [sys.executable, "-c", KILLED, str(tmp_path / "files")]
        done = subprocess.run(again, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert set(server.repos["model", "user/tiny"].files) == {"README.md", "model.safetensors"}


def test_a_push_that_is_cut_anywhere_is_finished_by_the_same_command(online, monkeypatch, tmp_path, capfd):
    """The connection lost for good at each call of a push in turn: one line, and nothing half there."""
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    (tmp_path / "README.md").write_text("---\nlicense: other\n---\n")
    (tmp_path / "model.safetensors").write_bytes(bytes(200_000))
    with hub() as server:
        api = HfApi(server.url, TOKEN)
        errors = []
        while True:
            server.troubles = [200] * len(errors) + [0] * 50
            try:
                fill(api, "user/tiny", tmp_path)
                break
            except ValueError as error:
                errors.append(str(error))
            assert not server.repos or not server.repos["model", "user/tiny"].files
        assert len(errors) > 6, "the commit is the last"
        line = re.compile(r"the Hub was not reached for user/tiny \(.+\); the same command goes on")
        assert [error for error in errors if not line.fullmatch(error)] == []
        assert "Retry" not in capfd.readouterr().err
        assert set(server.repos["model", "user/tiny"].files) == {"README.md", "model.safetensors"}


def test_a_name_that_is_taken_by_another_kind(online, tmp_path):
    with hub() as server:
        api = HfApi(server.url, TOKEN)
        api.create_repo("user/tiny", repo_type="dataset")
        with pytest.raises(ValueError, match="the Hub has user/tiny, but as no model"):
            fill(api, "user/tiny", tmp_path)
