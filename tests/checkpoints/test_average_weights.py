"""The mean of checkpoints: by hand, and what is said of checkpoints that do not fit together."""

import json

import pytest
import torch

from gimefive_hf.loading import load_checkpoint
from training.checkpoints.average_weights import main
from training.networks.catalogue import build_network


def write(folder, seed: int, classes: int = 6, widths=(4, 4)):
    torch.manual_seed(seed)
    model, processor = build_network(
        "gimefive-5-bn", classes, widths=list(widths), classifier_widths=[8], image_size=16
    )
    model.config.temperature, model.config.confidence_threshold = 0.5, 0.4
    model.eval().save_pretrained(folder / "model")
    processor.save_pretrained(folder / "model")
    (folder / "run.json").write_text("{}")
    return model.state_dict()


def test_mean_by_hand(tmp_path):
    one, other = write(tmp_path / "second", 1), write(tmp_path / "first", 2)
    out = tmp_path / "mean" / "model"
    folders = [str(tmp_path / name / "model") for name in ("second", "first")]
    assert main([*folders, "--shares", "0.75", "0.25", "--out", str(out)]) == 0
    model, _ = load_checkpoint(out)
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.75 * one[name] + 0.25 * other[name])
    assert (model.config.temperature, model.config.confidence_threshold) == (1.0, None)
    assert json.loads((tmp_path / "mean" / "run.json").read_text())["mean_of"] == {"second": 0.75, "first": 0.25}


def test_neutral_is_given_more(tmp_path, capsys):
    write(tmp_path / "a", 1, classes=7)
    folders = [str(tmp_path / "a/model")] * 2
    assert main([*folders, "--shares", "0.5", "0.5", "--neutral", "0.3", "--out", str(tmp_path / "b/model")]) == 0
    (one, _), (other, _) = load_checkpoint(tmp_path / "a/model"), load_checkpoint(tmp_path / "b/model")
    more = other.classifier[-1].bias - one.classifier[-1].bias
    torch.testing.assert_close(more.detach(), torch.tensor([0, 0, 0, 0, 0, 0, 0.3]))
    write(tmp_path / "six", 1)
    six = [str(tmp_path / "six/model")] * 2
    assert main([*six, "--shares", "0.5", "0.5", "--neutral", "0.3", "--out", str(tmp_path)]) == 2
    assert "have no neutral" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("other", "shares", "message"),
    [
        ({"classes": 7}, ["0.5", "0.5"], "different networks"),
        ({"widths": (4, 8)}, ["0.5", "0.5"], "different networks"),
        ({}, ["0.5", "0.6"], "of sum 1"),
        ({}, ["1"], "a share of each"),
        ({}, ["1.5", "-0.5"], "of sum 1"),
    ],
)
def test_checkpoints_that_do_not_fit(tmp_path, capsys, other, shares, message):
    write(tmp_path / "a", 1)
    write(tmp_path / "b", 2, **other)
    folders = [str(tmp_path / "a/model"), str(tmp_path / "b/model")]
    assert main([*folders, "--shares", *shares, "--out", str(tmp_path / "c")]) == 2
    assert message in capsys.readouterr().err


def test_no_checkpoint(tmp_path, capsys):
    assert main([str(tmp_path), str(tmp_path), "--shares", "0.5", "0.5", "--out", str(tmp_path / "out")]) == 2
    assert "no checkpoint in" in capsys.readouterr().err
