"""Damaged checkpoints of a training: noticed, said, and the older whole one taken."""

import shutil
from pathlib import Path

import pytest

from tests.training.test_train import arguments, same_tensors
from training.loop.checkpoints import complete_checkpoints, damage, write_digests
from training.train import main


@pytest.fixture(scope="module")
def run(corpora, tmp_path_factory) -> tuple[list[str], Path]:
    """The command of a tiny run, and the folder of the finished run: checkpoints 3 and 6, the best of one of them."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    command = arguments(corpora, folder, bf16=False)
    assert main(command) == 0
    return command[:-1], folder


@pytest.fixture
def copy(run, tmp_path) -> tuple[list[str], Path]:
    command, folder = run
    shutil.copytree(folder, tmp_path / "run")
    return [*command, str(tmp_path / "run")], tmp_path / "run"


def flip_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-len(data) // 3] ^= 4
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize(
    ("name", "spoil", "said"),
    [
        ("model.safetensors", flip_bit, "model.safetensors is not as it was written"),
        ("averaged.safetensors", flip_bit, "averaged.safetensors is not as it was written"),
        ("optimizer.pt", truncate, "optimizer.pt is not as it was written"),
        ("scheduler.pt", Path.unlink, "scheduler.pt is missing"),
        ("digests.json", lambda path: path.write_text('{"mod'), "it cannot be read (JSONDecodeError)"),
    ],
)
def test_damage_is_noticed(copy, name, spoil, said):
    folder = copy[1] / "checkpoint-6"
    assert damage(folder) is None
    spoil(folder / name)
    assert damage(folder) == said


def test_the_older_whole_checkpoint_is_taken(run, copy, capsys):
    command, folder = copy
    assert [path.name for path in complete_checkpoints(folder)] == ["checkpoint-3", "checkpoint-6"]
    flip_bit(folder / "checkpoint-6" / "model.safetensors")
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "damaged, so an older checkpoint is taken: checkpoint-6: model.safetensors is not as it was written" in out
    assert "going on from checkpoint-3" in out
    assert (folder / "damaged-checkpoint-6").is_dir()
    # and the run ends as the undamaged one did
    for file in ("checkpoint-6/model.safetensors", "checkpoint-6/averaged.safetensors", "model/model.safetensors"):
        assert same_tensors(folder / file, run[1] / file), file


def test_without_a_whole_checkpoint_nothing_starts_anew(copy, capsys):
    command, folder = copy
    for name in ("checkpoint-3", "checkpoint-6"):
        flip_bit(folder / name / "model.safetensors")
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "no checkpoint in" in error
    assert "checkpoint-3: model.safetensors is not as it was written" in error
    assert [path.name for path in complete_checkpoints(folder)] == ["checkpoint-3", "checkpoint-6"]


def test_damaged_best_weights_are_not_given_out(copy, capsys):
    command, folder = copy
    (best,) = folder.glob("best-*")
    flip_bit(best / "model.safetensors")
    assert main(command) == 0
    assert f"{best.name} is damaged (model.safetensors is not as it was written)" in capsys.readouterr().out
    (best,) = folder.glob("best-*")
    assert damage(best) is None
    assert same_tensors(best / "model.safetensors", folder / "model" / "model.safetensors")
    assert not (folder / "model" / "digests.json").exists(), "calibration may change the model's files"


def test_digests_by_hand(tmp_path):
    assert damage(tmp_path) is None
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.txt").write_text("abc")
    write_digests(tmp_path)
    sha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, example B.1
    assert f'"deep/a.txt": "{sha}"' in (tmp_path / "digests.json").read_text()
    assert damage(tmp_path) is None
