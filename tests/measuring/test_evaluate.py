"""Evaluation: what is scored, by which protocol, and what the store then says; the peers' networks."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from evaluation.analyses.record_curves import read_run
from evaluation.check_results import check_results
from evaluation.corruptions import CORRUPTIONS, STRENGTHS, corrupt
from evaluation.store import read_store
from gimefive_hf.configuration_gimefive import EMOTIONS, GiMeFiveConfig
from gimefive_hf.image_processing_gimefive import GiMeFiveImageProcessor
from gimefive_hf.modeling_gimefive import GiMeFiveForImageClassification
from gimefive_hf.runtimes.predictor import Predictor, predict_and_explain_crops, predict_crops
from training.checkpoints.bundle import bundle
from training.corpora import Crops
from training.measuring import detections, evaluate
from training.measuring.evaluate import sample_evenly, score_images
from training.measuring.scorers import TRAINED_ON, Description, Scorer, load_scorer
from training.networks.peers import (
    FACE_API_ORDER,
    FaceExpressionNet,
    MiniXception,
    PeerPredictor,
    load_face_expression,
    pad_same,
)
from training.studies.cross_dataset import fit_linear


class LabelReader:
    """A predictor that is right by design: the first pixel's red value is the label."""

    emotions = EMOTIONS

    def prepare(self, crops):
        return np.array([crop[0, 0, 0] for crop in crops])

    def predict(self, inputs, average_views=True):
        return np.eye(6, dtype=np.float32)[inputs.clip(max=5)] * 0.9 + np.float32(0.1 / 6)


def make_images(corpus="raf-db", n=12, sides=(16,)) -> Crops:
    labels = [i % 6 for i in range(n)]
    pixels = [
        torch.full((3, sides[i % len(sides)], sides[i % len(sides)]), labels[i], dtype=torch.uint8) for i in range(n)
    ]
    sources = [f"{corpus}/{i:02d}.png" for i in range(n)]
    votes = torch.full((n, 10), torch.nan)
    origins = {"corpora": [corpus] * n, "splits": ["test"] * n, "subjects": [None] * n}
    return Crops(pixels, torch.tensor(labels), votes, sources, **origins)


SCORER = Scorer("tiny", 6, 1, "rev", Description("raf-db", "right by design"), LabelReader())


@pytest.fixture
def no_corpora(monkeypatch):
    monkeypatch.setattr(evaluate, "read_images", lambda data, corpus, split, classes: make_images(corpus))


def test_scores_keep_the_order_when_sizes_differ():
    images = make_images(n=13, sides=(16, 16, 16, 24))
    scores = score_images(SCORER, images.images, batch=2)
    assert [EMOTIONS[i] for i in scores.argmax(1)] == images.names


def test_evaluate_fills_the_store_and_the_table_follows_from_it(no_corpora, tmp_path):
    table = evaluate.evaluate(SCORER, tmp_path, tmp_path, ["raf-db", "fer2013"], ["aligned"])
    accuracy = table[(table["metric"] == "accuracy") & (table["corpus"] == "aggregate")]
    assert accuracy["value"].tolist() == [1.0]
    assert accuracy["n_total"].tolist() == [24]
    store = read_store(tmp_path)
    assert store.models["tiny"].trained_on == "raf-db"
    faults = [fault for fault in check_results(tmp_path) if "missing" not in fault]
    assert faults == []


def test_check_results_finds_an_edited_figure(no_corpora, tmp_path):
    evaluate.evaluate(SCORER, tmp_path, tmp_path, ["raf-db"], ["aligned"])
    path = tmp_path / "results.csv"
    path.write_text(path.read_text().replace(",accuracy,,1.0,", ",accuracy,,0.99,"))
    assert any("accuracy" in fault and "0.99" in fault for fault in check_results(tmp_path))


def test_corrupted_protocol_has_every_condition(no_corpora, tmp_path):
    evaluate.evaluate(SCORER, tmp_path, tmp_path, ["raf-db"], ["corrupted"], sample=6)
    counts = read_store(tmp_path).predictions["protocol"].value_counts()
    assert set(counts.index) == {f"corrupted/{name}/{s}" for name in CORRUPTIONS for s in STRENGTHS}
    assert set(counts) == {6}


def test_detected_protocol_counts_faces_that_are_not_found(no_corpora, tmp_path, monkeypatch):
    def find_half(corpus, split, pixels, sources, way):
        arrays = detections.empty(len(sources))
        arrays["found"][::2] = True
        arrays["boxes"][::2], arrays["scores"][::2] = (100, 100, 60, 60), 0.9
        arrays["keypoints"][::2] = [(115, 120), (145, 120), (130, 135), (130, 150), (105, 125), (155, 125)]
        return detections.Found(**arrays)

    monkeypatch.setattr(evaluate, "find_faces", find_half)
    evaluate.evaluate(SCORER, tmp_path, tmp_path, ["raf-db"], ["detected"])
    table = read_store(tmp_path).results.set_index(["metric", "class"])
    assert table.loc[("faces_found", ""), "value"] == 0.5
    assert table.loc[("accuracy", ""), "n_scored"] == 6
    assert table.loc[("accuracy", ""), "n_total"] == 12


def test_crops_of_all_sizes_share_a_pass():
    pixels = [torch.full((3, side, side), label, dtype=torch.uint8) for label, side in enumerate((8, 16, 8, 16, 8))]
    batches = []

    class Counting(LabelReader):
        def predict(self, inputs, average_views=True):
            batches.append(len(inputs))
            return super().predict(inputs, average_views)

    scores = evaluate.score_images(replace(SCORER, predictor=Counting()), pixels, 2)
    assert scores.argmax(1).tolist() == [0, 1, 2, 3, 4]
    assert batches == [2, 2, 1]


def test_sample_is_even_and_repeatable():
    images = make_images(n=100)
    sample = sample_evenly(images, 10)
    assert len(sample) == 10
    assert sample.sources == sample_evenly(images, 10).sources
    assert sample.sources[0] == "raf-db/00.png"
    assert sample.sources[-1] == "raf-db/99.png"
    assert sample_evenly(images, 1000) is images


def test_a_checkpoint_is_scored_as_its_own_processor_prepares(tmp_path):
    torch.manual_seed(0)
    model = GiMeFiveForImageClassification(
        GiMeFiveConfig(widths=[4, 8], image_size=16, classifier_widths=[], temperature=2.0)
    )
    processor = GiMeFiveImageProcessor(size={"height": 16, "width": 16})
    model.save_pretrained(tmp_path / "mine")
    processor.save_pretrained(tmp_path / "mine")
    with pytest.raises(ValueError, match="what 'mine' was trained on"):
        load_scorer(str(tmp_path / "mine"))
    described = {"trained_on": "raf-db", "recipe": "none", "seed": 3}
    (tmp_path / "mine" / TRAINED_ON).write_text(json.dumps(described))
    scorer = load_scorer(str(tmp_path / "mine"))
    images = torch.randint(0, 256, (5, 3, 20, 20), dtype=torch.uint8)
    with torch.no_grad():
        expected = model.eval()(**processor(images, return_tensors="pt")).logits.softmax(1)
    found = predict_crops(scorer.predictor, images.permute(0, 2, 3, 1).numpy())
    torch.testing.assert_close(torch.from_numpy(found), expected)
    assert (scorer.name, scorer.classes, scorer.description.seed) == ("mine", 6, 3)
    (tmp_path / "mine" / TRAINED_ON).unlink()
    settings = {"network": "gimefive-paper", "start": "random", "corpora": {"raf-db": 1.0, "fer2013": 1.0}, "seed": 4}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    assert load_scorer(str(tmp_path / "mine")).description.trained_on == "raf-db+fer2013"
    # Another temperature is another revision: its scores differ.
    config = tmp_path / "mine" / "config.json"
    config.write_text(config.read_text().replace("2.0", "1.5"))
    assert load_scorer(str(tmp_path / "mine")).revision != scorer.revision


def test_a_bundled_model_keeps_what_it_was_trained_on(tmp_path, monkeypatch):
    monkeypatch.setattr("training.checkpoints.bundle.CHECKPOINTS", tmp_path / "bundled")
    run = tmp_path / "run"
    config = GiMeFiveConfig(widths=[4, 8], image_size=16, classifier_widths=[])
    GiMeFiveForImageClassification(config).save_pretrained(run / "model")
    GiMeFiveImageProcessor(size={"height": 16, "width": 16}).save_pretrained(run / "model")
    settings = {"network": "gimefive-paper", "start": "random", "corpora": {"raf-db": 1.0}, "seed": 4}
    (run / "settings.json").write_text(json.dumps(settings))
    (run / "run.json").write_text("{}")
    folder = bundle(run / "model", "mine")
    assert json.loads((folder / "settings.json").read_text()) == settings
    assert (folder / "run.json").is_file()
    scorer = load_scorer(str(folder))
    assert (scorer.name, scorer.description.trained_on, scorer.description.seed) == ("mine", "raf-db", 4)
    assert "started from random weights" in scorer.description.recipe
    (run / "run.json").unlink()
    bundle(run / "model", "mine")
    assert not (folder / "run.json").exists()  # that of another run must not stay


def test_unknown_model_is_named(tmp_path):
    with pytest.raises(ValueError, match="nonsense"):
        load_scorer("nonsense")
    with pytest.raises(ValueError, match="emotion_model"):
        load_scorer("fer-mini-xception", peers=tmp_path)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruptions_are_seeded_and_grow(name):
    from skimage.data import astronaut

    image = torch.from_numpy(np.ascontiguousarray(astronaut()[60:156, 170:266])).permute(2, 0, 1)[None]
    changes = []
    for strength in STRENGTHS:
        result = corrupt(image, name, strength)
        assert result.shape == image.shape
        assert result.dtype == torch.uint8
        assert torch.equal(result, corrupt(image, name, strength))
        changes.append((result.float() - image.float()).abs().mean().item())
    assert changes == sorted(changes)
    assert changes[0] > 0


def test_unknown_corruption_is_refused():
    with pytest.raises(ValueError, match="fog"):
        corrupt(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "fog", 1)


def test_pad_same_is_tensorflows():
    # 5 wide, kernel 3, stride 2: 3 outputs need 7, one on each side; 4 wide: 2 need 5, the odd one to the right.
    assert pad_same(torch.ones(1, 1, 5, 5), 3, 2).shape[-1] == 7
    padded = pad_same(torch.ones(1, 1, 4, 4), 3, 2)
    assert padded[0, 0, 0].tolist() == [1, 1, 1, 1, 0]


@pytest.mark.parametrize(("network", "parameters"), [(MiniXception, 56_951), (FaceExpressionNet, 323_687)])
def test_peers_have_their_published_size_and_give_distributions(network, parameters):
    model = network().eval()
    assert sum(p.numel() for p in model.parameters()) == parameters
    predictor = PeerPredictor(model)
    assert isinstance(predictor, Predictor)
    crops = [np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8) for side in (48, 90)]
    scores = predict_crops(predictor, crops)
    assert scores.shape == (2, 7)
    np.testing.assert_allclose(scores.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(predict_crops(predictor, crops[1:]), scores[1:], atol=1e-6)
    with pytest.raises(ValueError, match="no heat maps by 'cam'"):
        predict_and_explain_crops(predictor, crops, "cam")


def test_face_api_equals_the_original_javascript():
    """Golden output of @vladmandic/face-api 1.7.15 itself (tfjs, CPU) for pixels 7·i mod 256."""
    folder = Path(os.environ.get("GIMEFIVE_PEERS", "runs/peers")) / "face-api"
    if not folder.is_dir():
        pytest.skip("the weights of face-api are not here; training/networks/peers.py says where they come from")
    image = (torch.arange(3 * 112 * 112).reshape(1, 3, 112, 112) * 7 % 256).to(torch.uint8)
    golden = torch.tensor([0.54614282, 0.17115088, 0.25497773, 0.01423327, 0.00500393, 0.00207095, 0.00642041])
    scores = predict_crops(PeerPredictor(load_face_expression(folder)), image.permute(0, 2, 3, 1).numpy())[0]
    torch.testing.assert_close(torch.from_numpy(scores), golden[list(FACE_API_ORDER)], atol=2e-6, rtol=0)


def test_linear_classifier_learns_separable_features():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(600) % 6
    features = torch.randn(600, 20, generator=generator) * 5 + 100  # far from standardised
    features[torch.arange(600), labels] += 200
    layer = fit_linear(features, labels, least_steps=100)
    assert (layer(features).argmax(1) == labels).float().mean() > 0.9


def test_curves_of_a_run(tmp_path):
    with pytest.raises(ValueError, match=r"has no curves\.csv"):
        read_run(tmp_path, "m")
    table = pd.DataFrame({"step": [5, 10], "loss": [1.0, 0.5], "eval_raf-db_accuracy": [None, 80.0]})
    table.to_csv(tmp_path / "curves.csv", index=False)
    assert read_run(tmp_path, "m").to_numpy().tolist() == [["m", 10, None, "raf-db", "accuracy", 0.8, None]]
    record = {"held_out_images": {"raf-db": 7}, "seconds": 600, "finished_step": 20}
    (tmp_path / "run.json").write_text(json.dumps(record))
    assert read_run(tmp_path, "m").to_numpy().tolist() == [["m", 10, 5.0, "raf-db", "accuracy", 0.8, 7]]
