"""Training: pieces against hand-computed cases, whole runs of a tiny network on synthetic corpora."""

import csv
import json
import resource
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file
from transformers import Trainer

from gimefive_hf.configuration_gimefive import EMOTIONS
from gimefive_hf.image_processing_gimefive import GiMeFiveImageProcessor
from gimefive_hf.modeling_gimefive import GiMeFiveForImageClassification
from training.corpora.crops import read_crops
from training.loop.checkpoints import complete_checkpoints
from training.loop.disk import require_space
from training.loop.settings import make_settings
from training.loop.trainer import averaged_weights, training_arguments
from training.train import main

REPO = Path(__file__).parents[2]
PLAIN = {"flip": False, "rotation": 0.0, "scale": 0.0, "shift": 0.0, "light": 0.0, "erasing": 0.0}
TINY = {
    "network": "gimefive-paper",
    "network_options": {"widths": [8, 16], "classifier_widths": [16], "image_size": 32},
    "corpora": {"raf-db": 1.0, "fer2013": 1.0},
    "held_out": ["raf-db"],
    "neutral": "uniform",
    "vote_share": 0.3,
    "mixup": 0.5,
    "resampling": 0.3,
    "steps": 6,
    "batch_size": 8,
    "warmup_steps": 2,
    "evaluate_every": 3,
    "save_every": 3,
    "log_every": 1,
    "ema_decay": 0.9,
}


def arguments(corpora, out: Path, **settings) -> list[str]:
    """The command line of a tiny run; its settings file stands beside `out`."""
    out.parent.mkdir(parents=True, exist_ok=True)
    recipe = out.parent / f"{out.name}.json"
    recipe.write_text(json.dumps(TINY | settings))
    return ["--recipe", str(recipe), "--data", str(corpora), "--cache", str(corpora / "cache"), "--out", str(out)]


def same_tensors(one: Path, other: Path) -> bool:
    a, b = load_file(one), load_file(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def read_rows(path: Path) -> list[dict]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def rates(out: Path, steps: int, **values) -> list[float]:
    """Learning rates of a run of `steps`, as shares of the peak."""
    given = make_settings({"steps": steps, "learning_rate": 1.0} | values, "test")
    trainer = Trainer(torch.nn.Linear(1, 1), training_arguments(given, steps, out, cpu=True), eval_dataset=[0])
    optimizer = torch.optim.SGD(trainer.model.parameters(), lr=1.0)
    scheduler = trainer.create_scheduler(steps, optimizer)
    result = []
    for _ in range(steps):
        result.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return result


def test_learning_rate_by_hand(tmp_path):
    wsd = rates(tmp_path, 100, warmup_steps=10, decay_fraction=0.2)
    assert [wsd[step] for step in (0, 5, 10, 50, 80, 90, 99)] == pytest.approx([0, 0.5, 1, 1, 1, 0.5, 0.05])
    assert rates(tmp_path, 4, warmup_steps=0, decay_fraction=1.0) == pytest.approx([1, 0.75, 0.5, 0.25])
    cosine = rates(tmp_path, 100, warmup_steps=0, schedule="cosine")
    assert [cosine[step] for step in (0, 50)] == pytest.approx([1, 0.5])
    assert rates(tmp_path, 4, warmup_steps=2, schedule="constant") == pytest.approx([0, 0.5, 1, 1])


def test_averaged_weights_by_hand():
    layer = torch.nn.BatchNorm1d(1)
    averaged = averaged_weights(layer, decay=0.6)
    with torch.no_grad():
        layer.weight.fill_(2.0)
        layer.num_batches_tracked.fill_(7)
    averaged.update_parameters(layer)  # the decay of the first step is 1/10
    assert averaged.module.weight.item() == pytest.approx(0.1 * 1 + 0.9 * 2)
    averaged.n_averaged.fill_(91)
    averaged.update_parameters(layer)  # min(0.6, 91/100)
    assert averaged.module.weight.item() == pytest.approx(0.6 * 1.9 + 0.4 * 2)
    assert averaged.module.num_batches_tracked.item() == 7


def test_run_learns_and_its_model_loads(corpora, tmp_path, capsys):
    plain = PLAIN | {"mixup": 0.0, "resampling": 0.0, "neutral": "drop", "vote_share": 0.0}
    faster = {
        "steps": 60,
        "batch_size": 24,
        "learning_rate": 0.02,
        "evaluate_every": 20,
        "save_every": 20,
        "log_every": 10,
    }
    options = {"network_options": TINY["network_options"] | {"pooling": "flatten", "pool_dropout": 0.0}}
    settings = plain | faster | options | {"bf16": False}
    assert main(arguments(corpora, tmp_path / "run", **settings)) == 0
    out = capsys.readouterr().out
    assert "images/s" in out
    assert "min left" in out
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["held_out"]["raf-db_accuracy"] > 80  # chance is 17
    assert record["training_images"] == {"raf-db": 48, "fer2013": 48}  # neutral dropped
    rows = read_rows(tmp_path / "run" / "curves.csv")
    assert [int(row["step"]) for row in rows] == [10, 20, 30, 40, 50, 60]
    assert float(rows[-1]["loss"]) < 0.5 * float(rows[0]["loss"])
    assert rows[0]["eval_raf-db_accuracy"] == ""
    assert float(rows[1]["eval_raf-db_accuracy"]) > 0
    assert (tmp_path / "run" / "curves.png").stat().st_size > 10_000
    assert not list((tmp_path / "run").rglob("*.bin"))  # nothing pickled but torch's own state files
    # The model in the run scores what the run says it does, through the public path.
    model = GiMeFiveForImageClassification.from_pretrained(tmp_path / "run" / "model").eval()
    processor = GiMeFiveImageProcessor.from_pretrained(tmp_path / "run" / "model")
    crops = read_crops(corpora, "raf-db", "validation", cache=corpora / "cache")
    x = processor(crops.images.expand(-1, 3, -1, -1), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        logits = model(x).logits
    accuracy = 100 * (logits.argmax(1) == crops.labels).float().mean().item()
    assert accuracy == pytest.approx(record["held_out"]["raf-db_accuracy"])
    # The same command again finds the run done and changes nothing.
    before = load_file(tmp_path / "run" / "model" / "model.safetensors")
    assert main(arguments(corpora, tmp_path / "run", **settings)) == 0
    after = load_file(tmp_path / "run" / "model" / "model.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_killed_run_ends_like_an_unbroken_one(corpora, tmp_path, capsys):
    """kill -9, and a checkpoint cut short as by a kill within a save; everything ends equal bit by bit."""
    settings = {"steps": 36, "batch_size": 16, "save_every": 6, "evaluate_every": 12}
    unbroken, run = tmp_path / "unbroken", tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "training.train", *arguments(corpora, run, **settings)],
        cwd=REPO,
        stdout=subprocess.DEVNULL,
    )
    while not (run / "checkpoint-12" / "complete.json").exists() and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it was killed"
    newest = complete_checkpoints(run)[-1]
    half = run / f"checkpoint-{int(newest.name.split('-')[1]) + 600}"
    half.mkdir()
    (half / "model.safetensors").write_bytes((newest / "model.safetensors").read_bytes()[:1000])
    (half / "trainer_state.json").write_text('{"global_step": 6')
    assert main(arguments(corpora, run, **settings)) == 0
    assert f"going on from {newest.name}" in capsys.readouterr().out
    assert main(arguments(corpora, unbroken, **settings)) == 0
    for name in ("checkpoint-36/model", "checkpoint-36/averaged", "model/model"):
        assert same_tensors(unbroken / f"{name}.safetensors", run / f"{name}.safetensors"), name
    states = [torch.load(folder / "checkpoint-36" / "optimizer.pt", weights_only=True) for folder in (unbroken, run)]
    for index, state in states[0]["state"].items():
        assert all(torch.equal(value, states[1]["state"][index][key]) for key, value in state.items())
    curves = [
        [(row["step"], row["loss"], row["eval_score"]) for row in read_rows(folder / "curves.csv")]
        for folder in (unbroken, run)
    ]
    assert curves[0] == curves[1]


@pytest.mark.slow  # three processes load torch and transformers: the launcher and the two
def test_two_processes_compute_what_one_does(corpora, tmp_path):
    """Without augmentation, dropout and batch norm the gradients of two half batches are those of the whole."""
    network = TINY["network_options"] | {"batch_norm": False, "pool_dropout": 0.0, "classifier_dropout": 0.0}
    settings = PLAIN | {"mixup": 0.0, "resampling": 0.0, "bf16": False, "optimizer": "sgd", "network_options": network}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launch += ["--main_process_port", port, "-m", "training.train"]
    finished = subprocess.run(
        [*launch, *arguments(corpora, tmp_path / "two", **settings), "--cpu"],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    assert json.loads((tmp_path / "two" / "run.json").read_text())["processes"] == 2
    assert main(arguments(corpora, tmp_path / "one", **settings)) == 0
    one, two = (load_file(tmp_path / name / "checkpoint-6" / "model.safetensors") for name in ("one", "two"))
    start = load_file(tmp_path / "one" / "checkpoint-3" / "model.safetensors")
    moved = max((one[name] - start[name]).abs().max().item() for name in one)
    assert moved > 1e-4
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=0, atol=1e-3 * moved)


def test_distillation(corpora, tmp_path, capsys):
    """A run's model teaches the next one: its probabilities are computed once and kept with the run."""
    assert main(arguments(corpora, tmp_path / "first")) == 0
    teacher = tmp_path / "first" / "model"
    student = arguments(corpora, tmp_path / "student", teacher_share=0.5)
    assert main(student) == 2
    assert "teacher_share needs --teacher" in capsys.readouterr().err
    assert main([*student, "--teacher", str(teacher)]) == 0
    taught = load_file(tmp_path / "student" / "teacher_probabilities.safetensors")["raf-db"]
    crops = read_crops(corpora, "raf-db", "train", cache=corpora / "cache")
    model = GiMeFiveForImageClassification.from_pretrained(teacher).eval()
    images = crops.images.expand(-1, 3, -1, -1)
    with torch.no_grad():
        logits = model(GiMeFiveImageProcessor.from_pretrained(teacher)(images, return_tensors="pt").pixel_values).logits
    assert torch.allclose(taught, logits.softmax(1), atol=0.02)  # computed in bfloat16
    seven = arguments(corpora, tmp_path / "seven", teacher_share=0.5, classes=7)
    assert main([*seven, "--teacher", str(teacher)]) == 2
    assert "the teacher has the classes" in capsys.readouterr().err


def test_early_stopping(corpora, tmp_path, capsys):
    settings = {"learning_rate": 1e-12, "steps": 60, "evaluate_every": 2, "patience": 2, "bf16": False}
    assert main(arguments(corpora, tmp_path / "run", **settings)) == 0
    assert "stopped: no better evaluation for 2" in capsys.readouterr().out
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["finished_step"] == record["best_step"] + 4 < 60


def test_seven_classes(corpora, tmp_path):
    assert main(arguments(corpora, tmp_path / "run", classes=7, bf16=False, steps=2)) == 0
    model = GiMeFiveForImageClassification.from_pretrained(tmp_path / "run" / "model")
    assert tuple(model.config.id2label.values()) == (*EMOTIONS, "neutral")
    assert model(torch.zeros(1, 3, 32, 32)).logits.shape == (1, 7)


def test_loss_that_is_not_finite_stops_the_run(corpora, tmp_path, capsys):
    settings = {"learning_rate": 1e30, "warmup_steps": 0, "bf16": False, "max_gradient_norm": 0.0}
    assert main(arguments(corpora, tmp_path / "run", **settings)) == 2
    error = capsys.readouterr().err
    assert "the loss is" in error
    assert "Lower --learning-rate" in error


def test_full_disk(corpora, tmp_path, capsys):
    """A limit on the size of files makes the same system calls fail as a full disk does."""
    wide: dict = {"widths": [64, 128], "classifier_widths": [16], "image_size": 32}
    command = arguments(corpora, tmp_path / "run", network_options=wide, bf16=False, steps=3)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))
    try:
        assert main(command) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    error = capsys.readouterr().err
    assert "could not be written" in error
    assert "MB are free" in error
    assert not list((tmp_path / "run").glob("checkpoint-*"))
    assert not list((tmp_path / "run").glob("best-*"))
    assert main(command) == 0  # room again: the same command does it
    with pytest.raises(OSError, match="make room"):
        require_space(tmp_path, torch.nn.Linear(10**6, 10**7, device="meta"))  # 40 TB of weights


def test_other_settings_in_the_same_folder(corpora, tmp_path, capsys):
    assert main(arguments(corpora, tmp_path / "run", bf16=False, steps=2)) == 0
    assert main(arguments(corpora, tmp_path / "run", bf16=False, steps=2, learning_rate=0.5)) == 2
    assert "learning_rate was 0.001, is 0.5" in capsys.readouterr().err


def test_one_process_per_folder(corpora, tmp_path, capsys):
    command = arguments(corpora, tmp_path / "run", bf16=False, steps=2)
    (tmp_path / "run").mkdir()
    with FileLock(tmp_path / "run" / ".lock"):
        assert main(command) == 2
    assert "another process is training into" in capsys.readouterr().err
    assert not (tmp_path / "run" / "settings.json").exists()
    assert main(command) == 0


def test_unreadable_images_are_all_named_before_training(corpora, tmp_path, capsys):
    spoilt = tmp_path / "spoilt"
    spoilt.mkdir()
    (spoilt / "fer2013.zip").write_bytes((corpora / "fer2013.zip").read_bytes())
    with zipfile.ZipFile(corpora / "raf-db.zip") as source, zipfile.ZipFile(spoilt / "raf-db.zip", "w") as target:
        for number, name in enumerate(source.namelist()):
            content = source.read(name)
            target.writestr(name, content[: len(content) // 2] if number in (3, 70) else content)
        bad = [source.namelist()[number] for number in (3, 70)]
    command = [*arguments(corpora, tmp_path / "run"), "--data", str(spoilt), "--cache", str(tmp_path)]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "2 image(s) cannot be read" in error
    assert all(name in error for name in bad)
    assert not (tmp_path / "run" / "curves.csv").exists()


def test_missing_corpus(corpora, tmp_path, capsys):
    assert main([*arguments(corpora, tmp_path / "run"), "--data", str(tmp_path)]) == 2
    assert "raf-db" in capsys.readouterr().err
