"""A checkpoint of some of another's classes says what the other says, given that it is one of them."""

import pytest
import torch

from gimefive_hf.configuration_gimefive import EMOTIONS
from gimefive_hf.modeling_gimefive import GiMeFiveForImageClassification
from training.checkpoints.keep_classes import main
from training.networks.catalogue import build_network


@pytest.fixture
def seven(tmp_path):
    torch.manual_seed(0)
    model, processor = build_network("gimefive-4", 7, widths=[4, 4], classifier_widths=[8], image_size=16)
    model.config.temperature, model.config.confidence_threshold = 0.5, 0.4
    model.eval().save_pretrained(tmp_path / "seven" / "model")
    processor.save_pretrained(tmp_path / "seven" / "model")
    (tmp_path / "seven" / "run.json").write_text("{}")
    return model


def test_the_six_without_neutral(seven, tmp_path):
    out = tmp_path / "six" / "model"
    assert main([str(tmp_path / "seven" / "model"), str(out), "--classes", *EMOTIONS]) == 0
    six = GiMeFiveForImageClassification.from_pretrained(out).eval()
    x = torch.randn(3, 3, 16, 16)
    with torch.no_grad():
        whole, part = seven(x).logits * 0.5, six(x).logits  # back to temperature 1
    given = whole.softmax(1)[:, :6] / whole.softmax(1)[:, :6].sum(1, keepdim=True)
    torch.testing.assert_close(part.softmax(1), given)
    assert tuple(six.config.id2label.values()) == EMOTIONS
    assert (six.config.temperature, six.config.confidence_threshold) == (1.0, None)
    assert (tmp_path / "six" / "run.json").is_file()


@pytest.mark.parametrize("classes", [["joy", "fear"], ["fear"], ["fear", "fear"]])
def test_classes_that_are_none(seven, classes, tmp_path, capsys):
    assert main([str(tmp_path / "seven" / "model"), str(tmp_path / "out"), "--classes", *classes]) == 2
    assert "two or more different classes out of" in capsys.readouterr().err


def test_no_checkpoint(tmp_path, capsys):
    assert main([str(tmp_path), str(tmp_path / "out"), "--classes", "fear", "anger"]) == 2
    assert "no checkpoint in" in capsys.readouterr().err
