"""faithfulness, attention and failures of training.measuring: their parts by hand, each once from end to end."""

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from evaluation.explanation_tables import merge_rows
from evaluation.faithfulness import Estimate
from evaluation.store import write_predictions
from gimefive_hf import EMOTIONS, GiMeFiveConfig, GiMeFiveForImageClassification, GiMeFiveImageProcessor
from gimefive_hf.explain.regions import REGIONS
from gimefive_hf.faces.cropping import crop_face
from gimefive_hf.faces.detector import detect_faces
from tests.cases.results_cases import make_facts
from tests.cases.tiny_corpora import write_corpora
from tests.explain.test_regions import drawn_face
from training.corpora import Crops
from training.measuring import attention, failures, faithfulness
from training.measuring.evaluate import make_frame
from training.measuring.images import balanced_draw, draw_test_images, load_model


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A tiny random network of the flagship's kind with its processor."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    torch.manual_seed(0)
    config = GiMeFiveConfig(architecture="face-resnet", widths=[4, 8], classifier_widths=[], image_size=48)
    GiMeFiveForImageClassification(config).save_pretrained(folder)
    GiMeFiveImageProcessor(size={"height": 48, "width": 48}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    return write_corpora(tmp_path_factory.mktemp("corpora"), per_class=4)


@pytest.fixture(autouse=True)
def _cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("GIMEFIVE_CACHE", str(tmp_path_factory.getbasetemp() / "explanation-scripts-cache"))


@pytest.fixture
def face_images(astronaut) -> Crops:
    """Five crops of a smiling face, shifted and turned, and one without a face."""
    x, y, width, height = detect_faces(astronaut)[0].box
    boxes = [(x, y, width, height), (x + 6, y, width, height), (x, y - 6, width, height), (x, y, width + 12, height)]
    crops = [crop_face(astronaut, box, size=48).image for box in boxes]
    turn = cv2.getRotationMatrix2D((24, 24), 10, 1)
    crops.append(cv2.warpAffine(crops[0], turn, (48, 48), borderMode=cv2.BORDER_REPLICATE))
    crops.append(np.full((48, 48, 3), 90, np.uint8))
    images = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)
    labels, votes = torch.tensor([0, 0, 0, 1, 0, 0]), torch.full((6, 10), torch.nan)
    return Crops(images, labels, votes, [f"{i}.png" for i in range(6)], corpora=["a", "a", "a", "a", "b", "b"])


# The draw of test images


def test_balanced_draw():
    labels = np.array([0] * 50 + [1] * 3 + [2] * 20)
    drawn = balanced_draw(labels, 15, seed=0)
    assert np.bincount(labels[drawn]).tolist() == [6, 3, 6]
    assert len(set(drawn)) == 15
    np.testing.assert_array_equal(drawn, balanced_draw(labels, 15, seed=0))
    assert not np.array_equal(drawn, balanced_draw(labels, 15, seed=1))
    # A smaller draw is part of a larger one, so that a quick check looks at images of the full one.
    assert set(balanced_draw(labels, 6, seed=0)) <= set(drawn)
    assert len(balanced_draw(labels, 1000, seed=0)) == 73


def test_draw_takes_test_images_of_the_six_classes_only(corpora):
    images = draw_test_images(corpora, ["raf-db", "fer2013"], 12, 48)
    assert len(images) == 24
    assert images.pixels.shape == (24, 48, 48, 3)
    assert np.bincount(images.labels).tolist() == [4] * 6
    assert images.corpora == ["raf-db"] * 12 + ["fer2013"] * 12
    assert all("test" in source for source in images.sources)
    assert np.isnan(images.votes.numpy()[:12]).all()
    assert (images.votes.numpy()[12:, :6].max(1) == 8).all()


def test_load_model_names_what_is_missing(tmp_path, checkpoint):
    with pytest.raises(ValueError, match=r"no checkpoint .*expected a folder with model.safetensors"):
        load_model(str(tmp_path))
    loaded = load_model(str(checkpoint))
    assert (loaded.name, loaded.side, len(loaded.weights)) == ("tiny", 48, 12)
    assert not loaded.model.training


# Tables


def test_merge_rows(tmp_path):
    path = tmp_path / "table.csv"
    columns = ["model", "weights", "method", "value"]
    old = [["a", "1e5", "cam", 1.0], ["a", "1e5", "saliency", 2.0], ["b", "7", "cam", 3.0]]
    merge_rows(path, pd.DataFrame(old, columns=columns), ["model", "method"])
    merge_rows(path, pd.DataFrame([["a", "1e5", "cam", 9.0]], columns=columns), ["model", "method"])
    values = pd.read_csv(path).set_index(["model", "method"])["value"]
    assert values.to_dict() == {("a", "saliency"): 2.0, ("b", "cam"): 3.0, ("a", "cam"): 9.0}
    # Other weights: what was measured of the old ones goes.
    merge_rows(path, pd.DataFrame([["a", "2", "cam", 5.0]], columns=columns), ["model", "method"])
    assert pd.read_csv(path)["value"].tolist() == [3.0, 5.0]
    twice = pd.DataFrame([["a", "2", "cam", 5.0]] * 2, columns=columns)
    with pytest.raises(ValueError, match=r"table.csv: 1 duplicate rows"):
        merge_rows(path, twice, ["model", "method"])


def test_verdicts():
    row = {"kind": "method", "margin_low": 0.01, "strongest_baseline": "edges"}
    row |= {"same_after_random_classifier": 0.1, "same_after_random_all": 0.0}
    assert faithfulness.verdict(row) == "worth trusting"
    assert "not shown to be better than edges" in faithfulness.verdict(row | {"margin_low": -0.01})
    assert "random classifier" in faithfulness.verdict(row | {"same_after_random_classifier": 0.9})
    assert "random weights" in faithfulness.verdict(row | {"same_after_random_all": 0.8})
    assert faithfulness.verdict(row | {"kind": "baseline"}) == "knows nothing of the model"
    # What was not measured is no recommendation.
    assert faithfulness.verdict(row | {"same_after_random_all": np.nan}) != "worth trusting"


def test_table_is_paired_and_names_the_strongest_baseline(checkpoint):
    """Two images whose areas are known: the margin is the mean difference to the best baseline on the same images."""
    loaded = load_model(str(checkpoint))

    def measured(deletion, insertion):
        result = faithfulness.Measured()
        result.deletion = [np.array([[d, d] for d in deletion])]
        result.insertion = [np.array([[i, i] for i in insertion])]
        result.hits = [np.array([True])]
        return result

    results = {name: measured([0.5, 0.5], [0.4, 0.6]) for name in faithfulness.BASELINES}
    results["edges"] = measured([0.5, 0.5], [0.6, 0.8])
    results["cam"] = measured([0.2, 0.4], [0.7, 0.9])
    rows = faithfulness.table(loaded, results, {"cam": {"classifier": Estimate(0.1, 0, 0.2, 3)}})
    assert rows["method"].iloc[0] == "cam"
    cam = rows.iloc[0]
    assert (cam["gap"], cam["margin"]) == pytest.approx((0.5, 0.3))
    assert (cam["deletion"], cam["insertion"], cam["pointing"]) == pytest.approx((0.3, 0.8, 1.0))
    assert set(rows["strongest_baseline"]) == {"edges"}
    assert (cam["images"], cam["pointing_images"], cam["same_after_random_classifier"]) == (2, 1, 0.1)


# Average attention


def test_alignment_brings_any_face_to_one_place():
    wanted = attention.CANONICAL * 100
    for unit, shift in ((40, (0, 0)), (25, (30, -10))):
        points = drawn_face(unit, shift)
        angle = np.radians(20)
        turned = points @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        for face in (points, turned):
            matrix = attention.alignment(face, 100)
            moved = face @ matrix[:, :2].T + matrix[:, 2]
            eyes = moved[36:42].mean(0), moved[42:48].mean(0)
            np.testing.assert_allclose(eyes[0][1], eyes[1][1], atol=0.5)
            np.testing.assert_allclose([*eyes, moved[48:].mean(0)], wanted, atol=8)
            # A similarity: both axes are scaled alike and stay at a right angle.
            np.testing.assert_allclose(matrix[0, :2] @ matrix[1, :2], 0, atol=1e-9)


def test_average_attention(checkpoint, face_images, monkeypatch):
    """All maps are a disc on the mouth: so is the average, the shares say so, and the faceless image is counted."""
    mouths = [attention.crop_landmarks(crop)[0][48:].mean(0) for crop in face_images.pixels]

    def disc(model, pixel_values, method, targets):
        assert targets == face_images.names
        maps = np.zeros((len(mouths), 48, 48), np.float32)
        for map_, (x, y) in zip(maps, mouths, strict=True):
            cv2.circle(map_, (round(float(x)), round(float(y))), 2, 1, -1)
        return maps

    monkeypatch.setattr(attention, "explain", disc)
    loaded = load_model(str(checkpoint))
    average, shares = attention.measure(loaded, face_images, "grad-cam")
    assert average.corpora == ["a", "b"]
    assert average.counts[:, :2].tolist() == [[3, 1], [1, 0]]
    assert average.without_face.sum() == average.without_face[1, 0] == 1
    assert np.isnan(average.maps[1, 1]).all()
    peak = np.unravel_index(average.maps[0, 0].argmax(), average.maps[0, 0].shape)
    np.testing.assert_allclose(peak[::-1], average.landmarks[48:].mean(0), atol=3)
    assert (shares["mouth"] > 0.8).all()
    rows = attention.summarise(loaded, "grad-cam", average, shares)
    overall = rows[(rows["corpus"] == "all") & (rows["emotion"] == "all")].set_index("region")
    assert overall.loc["mouth", "share"] == pytest.approx(shares["mouth"].mean())
    assert overall["images"].tolist() == [5] * 7
    assert overall["without_face"].tolist() == [1] * 7
    assert overall["share"].sum() == pytest.approx(1)
    assert not rows["looks_at_background"].any()


def test_attention_from_end_to_end(checkpoint, face_images, tmp_path, monkeypatch):
    monkeypatch.setattr(attention, "draw_test_images", lambda *args: face_images)
    for name in ("one", "two"):
        assert attention.main(["--model", str(checkpoint), "--name", name, "--results", str(tmp_path)]) == 0
    loaded = attention.load_average(tmp_path / "attention_one.npz")
    assert loaded.maps.shape == (2, 6, attention.SIDE, attention.SIDE)
    assert set(pd.read_csv(tmp_path / "attention.csv")["model"]) == {"one", "two"}
    assert attention.main(["--compare", "one", "two", "--results", str(tmp_path)]) == 0
    pictures = sorted(path.name for path in tmp_path.glob("*.png"))
    assert pictures == ["attention_one.png", "attention_one_vs_two.png", "attention_two.png"]
    with pytest.raises(ValueError, match=r"no attention_three.npz: measure that model first"):
        attention.compare(tmp_path, "one", "three")


# Failures


def test_chosen_failures_by_hand():
    p = np.full((6, 6), 0.02)
    for index, (answer, score) in enumerate([(0, 0.9), (1, 0.9), (2, 0.6), (3, 0.8), (4, 0.9), (5, 0.46)]):
        p[index, answer] = score
    p[5, 0] = 0.44
    labels = np.array([0, 0, 0, 3, 3, 5])
    votes = np.full((6, 10), np.nan)
    votes[2] = [1, 0, 9, 0, 0, 0, 0, 0, 0, 0]  # nine of ten see what the model sees
    votes[1] = [8, 2, 0, 0, 0, 0, 0, 0, 0, 0]  # most agree with the label
    chosen = failures.choose_failures(p, labels, votes, each=2)
    kinds = {kind: [index for k, index, _ in chosen if k == kind] for kind in failures.KINDS}
    assert kinds["confident mistake"] == [1, 4]
    assert kinds["near tie"][0] == 5
    # Image 4 has no votes, and the model is as sure of class 4 as can be said: no image has that label.
    assert kinds["likely label error"] == [2]
    evidence = {(kind, index): text for kind, index, text in chosen}
    assert evidence["likely label error", 2] == "9 of 10 annotators see sadness"
    assert evidence["near tie", 5] == "46% against 44% for happiness"


def test_without_votes_the_model_must_be_surer_than_usual():
    p = np.full((4, 6), 0.02)
    for index, score in enumerate([0.7, 0.7, 0.75, 0.65]):
        p[index, 1] = score
    labels = np.array([1, 1, 0, 0])
    chosen = failures.choose_failures(p, labels, np.full((4, 10), np.nan), each=9)
    assert [index for kind, index, _ in chosen if kind == "likely label error"] == [2]


@pytest.fixture
def store(checkpoint, corpora, tmp_path):
    """Predictions of the tiny network on the tiny corpora."""
    loaded = load_model(str(checkpoint))
    images = draw_test_images(corpora, ["raf-db", "fer2013"], None, 48)
    with torch.no_grad():
        p = loaded.model(loaded.pixel_values(images.pixels)).logits.softmax(1).double().numpy()
    frame = make_frame(images, "aligned", p / p.sum(1, keepdims=True), np.ones(len(p), bool))
    write_predictions(tmp_path, make_facts("tiny"), frame)
    return tmp_path


def test_failures_from_end_to_end(checkpoint, corpora, store):
    arguments = ["--model", str(checkpoint), "--data", str(corpora), "--results", str(store), "--each", "5"]
    assert failures.main([*arguments, "--corpora", "raf-db", "fer2013"]) == 0
    rows = pd.read_csv(store / "failures.csv")
    with np.load(store / "failures_tiny.npz", allow_pickle=False) as stored:
        maps = stored["maps"]
    assert maps.shape == (len(rows), 2, 28, 28)
    assert maps.dtype == np.uint8
    assert maps.max() == 255
    counts = rows.groupby(["kind", "corpus"]).size()
    assert (counts["confident mistake"] == 5).all()
    assert (counts["near tie"] == 5).all()
    mistakes = rows[rows["kind"] == "confident mistake"]
    assert (mistakes["label"] != mistakes["predicted"]).all()
    assert set(REGIONS) <= set(rows.columns)
    assert rows["reason"].str.startswith(tuple(EMOTIONS)).all()
    assert sorted(rows["map"]) == list(range(len(rows)))


def test_scripts_end_with_code_2_and_a_reason(tmp_path, capsys):
    for script in (attention, failures, faithfulness):
        assert script.main(["--model", str(tmp_path), "--results", str(tmp_path)]) == 2
        assert "expected a folder with model.safetensors" in capsys.readouterr().err


def test_failures_say_what_to_run_first(checkpoint, corpora, tmp_path):
    with pytest.raises(ValueError, match=r"no predictions of 'tiny': run python -m training.measuring.evaluate"):
        failures.find_failures(load_model(str(checkpoint)), corpora, tmp_path, ["raf-db"], 3)


def test_failures_name_images_that_are_not_there(corpora):
    with pytest.raises(ValueError, match=r"raf-db here lacks 1 of the predicted images, such as gone.jpg"):
        failures.read_crops(corpora, "raf-db", ["gone.jpg"], 48)


def test_faithfulness_from_end_to_end(checkpoint, corpora, tmp_path):
    arguments = ["--model", str(checkpoint), "--data", str(corpora), "--results", str(tmp_path)]
    arguments += ["--images", "12", "--sanity-images", "4", "--steps", "3", "--no-bf16"]
    assert faithfulness.main([*arguments, "--methods", "cam", "activations"]) == 0
    assert faithfulness.main([*arguments, "--methods", "saliency"]) == 0
    rows = pd.read_csv(tmp_path / "faithfulness.csv").set_index("method")
    assert set(rows.index) == {"cam", "activations", "saliency", *faithfulness.BASELINES}
    assert (rows["images"] == 12).all()
    assert rows.loc["activations", "same_after_random_classifier"] == pytest.approx(1)
    assert rows.loc["random pixels", "verdict"] == "knows nothing of the model"
    assert ((rows["gap_low"] <= rows["gap"]) & (rows["gap"] <= rows["gap_high"])).all()
    np.testing.assert_allclose(rows["gap"], rows["insertion"] - rows["deletion"], atol=1e-9)
    lines = pd.read_csv(tmp_path / "faithfulness_curves.csv")
    assert len(lines) == 7 * 2 * 4
    assert (tmp_path / "faithfulness_tiny.png").stat().st_size > 10_000


def test_a_neutral_face_has_no_place_to_point_at(checkpoint, corpora):
    loaded = load_model(str(checkpoint))
    images = draw_test_images(corpora, ["raf-db"], 4, loaded.side, 0)
    loaded.model.config.id2label = dict.fromkeys(range(6), "neutral")
    measured = faithfulness.measure(loaded, images, ["activations"], steps=2, bf16=False)["activations"]
    assert sum(map(len, measured.hits)) == 0
    assert len(measured.gaps()) == len(images)
