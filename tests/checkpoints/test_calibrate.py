"""Calibration against hand-computed cases, and the command end to end on synthetic corpora."""

import json

import numpy as np
import pytest
import torch

from evaluation.calibration import (
    abstention,
    choose_threshold,
    cross_fitted_ece,
    fit_temperature,
    reliability_rows,
)
from evaluation.metrics import expected_calibration_error
from gimefive_hf.configuration_gimefive import GiMeFiveConfig
from gimefive_hf.image_processing_gimefive import GiMeFiveImageProcessor
from gimefive_hf.modeling_gimefive import GiMeFiveForImageClassification
from gimefive_hf.runtimes.torch_predictor import TorchPredictor
from tests.cases.tiny_corpora import write_corpora
from training.checkpoints.calibrate import main, raw_logits, to_model_labels
from training.corpora.crops import LABELS, read_crops


def test_expected_calibration_error_by_hand():
    confidence = np.array([0.95, 0.95, 0.55, 0.55, 0.55, 1.0])
    hits = np.array([True, False, True, False, False, True])
    # With 10 bins: [0.5, 0.6) 3 images, confidence 0.55, accuracy 1/3; [0.9, 1.0] 3 images, 2.9/3 and 2/3.
    expected = (3 * (0.55 - 1 / 3) + 3 * (2.9 / 3 - 2 / 3)) / 6
    assert expected_calibration_error(confidence, hits, bins=10) == pytest.approx(expected)
    table = reliability_rows(confidence, hits)  # 15 bins
    assert [row["count"] for row in table] == [3, 3]
    assert (table[1]["low"], table[1]["high"]) == (14 / 15, 1.0)


def calibrated_sample(n: int, seed: int, scale: float = 2.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (n, 6) whose softmax is right by construction: the labels are drawn from it."""
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(n, 6, generator=generator)
    return logits, torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]


@pytest.mark.parametrize("true", [0.5, 1.7])
def test_temperature_is_recovered(true):
    logits, labels = calibrated_sample(20_000, seed=1)
    assert fit_temperature([(logits * true, labels)]) == pytest.approx(true, rel=0.04)


def test_every_corpus_counts_the_same():
    """A corpus of 200 images moves the temperature as much as one of 20,000."""
    small, large = calibrated_sample(200, 1), calibrated_sample(20_000, 2)
    groups = [(small[0] * 3, small[1]), (large[0] * 0.5, large[1])]
    repeated = [(groups[0][0].repeat(100, 1), groups[0][1].repeat(100)), groups[1]]
    assert fit_temperature(groups) == pytest.approx(fit_temperature(repeated), rel=1e-3)
    assert fit_temperature(groups) > 1.2 * fit_temperature([groups[1]])


def test_temperature_of_noise_is_refused():
    logits, _ = calibrated_sample(2000, seed=1)
    with pytest.raises(ValueError, match="edge"):
        fit_temperature([(logits, logits.argmax(1))])


def test_cross_fitted_error_is_small_for_calibrated_logits():
    logits, labels = calibrated_sample(20_000, seed=3)
    assert cross_fitted_ece({"a": logits * 3}, {"a": labels})["a"] < 0.02


CONFIDENCE = np.array([0.3, 0.4, 0.6, 0.8, 0.9])
HITS = np.array([False, True, False, True, True])
NEUTRAL = np.array([0.2, 0.5, 0.7, 0.95])


def test_abstention_by_hand():
    row = abstention([(CONFIDENCE, HITS)], NEUTRAL, 0.5)
    assert row["coverage"] == pytest.approx(3 / 5)
    assert row["risk"] == pytest.approx(1 / 3)
    assert (row["accepted"], row["images"]) == (3, 5)
    assert row["neutral_declined"] == pytest.approx(1 / 4)  # 0.5 itself is answered
    nothing = abstention([(CONFIDENCE, HITS)], NEUTRAL[:0], 0.99)
    assert nothing["risk"] is None
    assert nothing["neutral_declined"] is None


def test_abstention_weighs_corpora_equally():
    both = [(np.array([0.9]), np.array([False])), (np.array([0.9] * 9), np.array([True] * 9))]
    assert abstention(both, NEUTRAL, 0.5)["risk"] == pytest.approx(0.5)


def test_threshold_is_the_lowest_that_meets_the_demands():
    groups = [(CONFIDENCE, HITS)]
    assert choose_threshold(groups, NEUTRAL, 0.34, 0.0, 0.0)["threshold"] == pytest.approx(0.305)
    assert choose_threshold(groups, NEUTRAL, 0.1, 0.0, 0.0)["threshold"] == pytest.approx(0.605)
    assert choose_threshold(groups, NEUTRAL, 0.1, 0.75, 0.0)["threshold"] == pytest.approx(0.705)
    assert choose_threshold(groups, NEUTRAL[:0], 0.1, 0.75, 0.0)["threshold"] == pytest.approx(0.605)


@pytest.mark.parametrize("demands", [(0.1, 0.99, 0.0), (0.1, 0.75, 0.9)])
def test_impossible_demands_are_an_error_with_the_choices(demands):
    with pytest.raises(ValueError, match=r"loosen one of them:\n.*risk"):
        choose_threshold([(CONFIDENCE, HITS)], NEUTRAL, *demands)


def test_labels_follow_the_model():
    labels = torch.arange(len(LABELS))
    assert to_model_labels(labels, {0: "fear", 1: "happiness"}).tolist() == [1, -1, -1, -1, -1, 0, -1]


def class_template_model(folder) -> None:
    """A checkpoint that needs no training: its features are the six bars' heights, read by a fixed linear layer."""
    config = GiMeFiveConfig(
        widths=[2], image_size=32, pooling="flatten", classifier_widths=[], batch_norm=False, num_labels=6
    )
    config.id2label = GiMeFiveConfig().id2label
    config.label2id = GiMeFiveConfig().label2id
    model = GiMeFiveForImageClassification(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        conv = model.gimefive.stages[0].convs[0]
        conv.weight[0, 0, 1, 1] = 1.0
        rows = torch.arange(16) * 6 // 16  # the class whose bar lies in each row of the 16×16 map
        template = (rows[None] == torch.arange(6)[:, None]).float()[:, :, None].expand(6, 16, 16) / 40
        model.classifier[-1].weight[:, :256] = template.reshape(6, 256)
    model.save_pretrained(folder)
    GiMeFiveImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)


def test_command(tmp_path, capsys):
    data = write_corpora(tmp_path / "corpora", per_class=6)
    class_template_model(tmp_path / "model")
    command = ["--checkpoint", str(tmp_path / "model"), "--data", str(data), "--cache", str(tmp_path)]
    command += [
        "--corpora",
        "raf-db",
        "fer2013",
        "--max-risk",
        "0.6",
        "--min-neutral",
        "0.5",
        "--min-coverage",
        "0.2",
        "--test",
    ]
    before = json.loads((tmp_path / "model" / "config.json").read_text())
    spoilt = read_crops(data, "raf-db", "validation", cache=tmp_path)
    model = GiMeFiveForImageClassification.from_pretrained(tmp_path / "model")
    processor = GiMeFiveImageProcessor.from_pretrained(tmp_path / "model")
    answers = raw_logits(TorchPredictor(model, processor), spoilt).argmax(1)
    assert (answers == spoilt.labels).float().mean() == 1.0  # the template does read the bars
    # Everything right: no finite temperature is best, and the command says so instead of storing nonsense.
    assert main(command) == 2
    assert "edge" in capsys.readouterr().err
    assert json.loads((tmp_path / "model" / "config.json").read_text()) == before

    with torch.no_grad():  # now a model that errs on some images
        model.classifier[-1].weight += 0.1 * torch.randn(
            model.classifier[-1].weight.shape, generator=torch.Generator().manual_seed(0)
        )
    model.save_pretrained(tmp_path / "model")
    assert main(command) == 0
    assert "abstention, held out" in capsys.readouterr().out
    after = json.loads((tmp_path / "model" / "config.json").read_text())
    report = json.loads((tmp_path / "model" / "calibration.json").read_text())
    changed = {key for key in after if after[key] != before.get(key)}
    assert changed == {"temperature", "confidence_threshold"}
    assert after["temperature"] == report["temperature"] != 1.0
    assert report["held_out"]["fer2013"]["images"] == 36  # neutral has no place in six classes,
    assert report["held_out_abstention"]["neutral_images"] == 6  # but is what the threshold declines
    assert (
        report["held_out"]["raf-db"]["calibrated"]["nll"] <= 1.01 * report["held_out"]["raf-db"]["uncalibrated"]["nll"]
    )
    assert report["test"]["raf-db"]["images"] == 36
    assert (tmp_path / "model" / "reliability.png").stat().st_size > 10_000
    # The stored temperature reaches inference.
    calibrated = GiMeFiveForImageClassification.from_pretrained(tmp_path / "model").eval()
    x = processor(spoilt.images[:4].expand(-1, 3, -1, -1), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        torch.testing.assert_close(calibrated(x).logits * after["temperature"], model.eval()(x).logits)


def test_missing_checkpoint(tmp_path, capsys):
    assert main(["--data", str(tmp_path), "--checkpoint", str(tmp_path)]) == 2
    assert "no config.json" in capsys.readouterr().err
