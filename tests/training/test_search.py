"""Search over settings: runs of a tiny network, killed and resumed, and its space's errors."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest

from tests.training.test_train import PLAIN, TINY
from training.loop.settings import make_settings
from training.search import SPACES_DIR, changed, main, read_space, suggest

REPO = Path(__file__).parents[2]
SPACE = {
    "learning_rate": {"low": 1e-3, "high": 1e-1, "log": True},
    "network_options.classifier_widths": [[], [8]],
    "optimizer": ["adam", "sgd"],
}


def command(corpora, folder: Path, trials: int, space=SPACE, *flags: str, **settings) -> list[str]:
    quick = PLAIN | {"corpora": {"raf-db": 1.0}, "mixup": 0.0, "resampling": 0.0, "steps": 4, "evaluate_every": 4}
    (folder / "recipe.json").write_text(json.dumps(TINY | quick | {"bf16": False, "save_every": 2} | settings))
    (folder / "space.json").write_text(json.dumps(space))
    files = ["--recipe", str(folder / "recipe.json"), "--space", str(folder / "space.json")]
    return [
        *files,
        "--out",
        str(folder / "search"),
        "--data",
        str(corpora),
        "--cache",
        str(corpora / "cache"),
        "--trials",
        str(trials),
        *flags,
    ]


def rows(folder: Path) -> list[dict]:
    with open(folder / "search" / "search.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_values_reach_the_settings():
    base = make_settings({"steps": 5, "network_options": {"image_size": 32}}, "test")
    trial = optuna.trial.FixedTrial({"network_options.widths": "[4, 8]", "epochs": 3, "learning_rate": 0.01})
    domains: dict = {"network_options.widths": [[4, 8], [4]], "epochs": {"low": 1, "high": 9}}
    domains["learning_rate"] = {"low": 1e-3, "high": 0.1}
    settings = changed(base, {key: suggest(trial, key, domain) for key, domain in domains.items()})
    assert settings.network_options == {"image_size": 32, "widths": [4, 8]}
    assert (settings.epochs, settings.steps, settings.learning_rate) == (3, None, 0.01)
    assert base.network_options == {"image_size": 32}


def test_bayesian_search_goes_on_to_the_total(corpora, tmp_path, capsys):
    assert main(command(corpora, tmp_path, 2)) == 0
    assert [row["state"] for row in rows(tmp_path)] == ["COMPLETE"] * 2
    first = rows(tmp_path)
    assert main(command(corpora, tmp_path, 4)) == 0
    assert rows(tmp_path)[:2] == first
    assert len(rows(tmp_path)) == 4
    scores = [float(row["score"]) for row in rows(tmp_path)]
    assert f"held-out score {max(scores):.2f} %" in capsys.readouterr().out
    assert len({row["learning_rate"] for row in rows(tmp_path)}) == 4  # no number is drawn again after the resume
    assert (tmp_path / "search" / "search.png").stat().st_size > 10_000
    assert not list((tmp_path / "search").rglob("checkpoint-*"))


def test_grid_ends_when_all_combinations_are_tried(corpora, tmp_path):
    space = {"learning_rate": [0.01, 0.1], "optimizer": ["adam", "sgd"]}
    assert main(command(corpora, tmp_path, 99, space, "--grid", steps=1)) == 0
    tried = {(row["learning_rate"], row["optimizer"]) for row in rows(tmp_path)}
    assert len(tried) == len(rows(tmp_path)) == 4


@pytest.mark.slow  # a process of its own, and a long enough trial to be killed in
def test_killed_search_finishes_the_trial_it_was_in(corpora, tmp_path):
    flags = command(corpora, tmp_path, 2, SPACE, steps=150, evaluate_every=150, save_every=10)
    process = subprocess.Popen([sys.executable, "-m", "training.search", *flags], cwd=REPO, stdout=subprocess.DEVNULL)
    while not list((tmp_path / "search").glob("trials/*/checkpoint-10/complete.json")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the search ended before it was killed"
    (folder,) = (tmp_path / "search" / "trials").iterdir()
    assert main(flags) == 0
    states = [row["state"] for row in rows(tmp_path)]
    assert states == ["FAIL", "COMPLETE", "COMPLETE"]
    assert rows(tmp_path)[1]["learning_rate"] == rows(tmp_path)[0]["learning_rate"]
    assert (folder / "run.json").is_file()


def test_a_failed_trial_keeps_its_reason_and_three_stop_the_search(corpora, tmp_path, capsys):
    space = {"network_options.pool_dropout": [2.0, 3.0, 4.0, 5.0]}
    assert main(command(corpora, tmp_path, 4, space)) == 2
    assert "three trials in a row failed" in capsys.readouterr().err
    assert "pool_dropout must be in [0, 1)" in rows(tmp_path)[0]["error"]


def test_mistakes_are_told(corpora, tmp_path, capsys):
    assert main(command(corpora, tmp_path, 1, {"learning_rate": 0.1})) == 2
    assert "must be a list of choices or have low and high" in capsys.readouterr().err
    assert main(command(corpora, tmp_path, 1, SPACE, "--grid")) == 2
    assert "a grid needs choices" in capsys.readouterr().err
    assert main(command(corpora, tmp_path, 1, {"learning_rte": [1]})) == 2
    assert "did you mean learning_rate" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(path.stem for path in SPACES_DIR.glob("*.json")))
def test_committed_spaces_make_valid_settings(name):
    space = read_space(Path(name))
    base = make_settings({"steps": 5}, "test")
    for key, domain in space.items():
        for value in domain if isinstance(domain, list) else [domain["low"], domain["high"]]:
            changed(base, {key: value})
