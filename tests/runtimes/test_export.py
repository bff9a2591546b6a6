"""ONNX files: the same numbers as torch, and everything that is needed inside."""

import json

import numpy as np
import onnx
import pytest
import torch

from gimefive_hf import EMOTIONS, ExpressionRecognizer, from_pretrained
from gimefive_hf.cli import main
from gimefive_hf.runtimes.export import export_onnx
from gimefive_hf.runtimes.onnx_predictor import OnnxPredictor
from gimefive_hf.runtimes.predictor import predict_and_explain_crops
from tests.cases.video_cases import face_photo, image_folder, save_tiny, tiny_recognizer


@pytest.fixture(scope="module")
def fer():
    """With mirrored and zoomed averaging and a temperature, all of which must survive."""
    fer = tiny_recognizer()
    fer.model.config.flip_average = True
    fer.model.config.zoom_average = [1.1]
    fer.model.config.temperature = 1.7
    return fer


@pytest.fixture(scope="module")
def path(tmp_path_factory, fer):
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export_onnx(fer.predictor, path)
    return path


@pytest.fixture(scope="module")
def crops() -> list[np.ndarray]:
    photo = face_photo()
    return [photo[y : y + 150, x : x + 150] for y in (0, 40, 200) for x in (60, 140, 300)]


@pytest.mark.parametrize("count", [1, 2, 9])
def test_logits_and_maps_are_torchs(fer, path, crops, count):
    ours, theirs = OnnxPredictor(path), fer.predictor
    inputs = theirs.prepare(crops[:count])
    np.testing.assert_array_equal(ours.prepare(crops[:count]), inputs, "the preprocessing is in the file")
    for average_views in (True, False):
        expected = theirs.logits(inputs, average_views)
        np.testing.assert_allclose(ours.logits(inputs, average_views), expected, atol=1e-4)
        scores, heat = ours.predict_and_explain(inputs, "grad-cam", average_views)
        expected_scores, expected_heat = theirs.predict_and_explain(inputs, "grad-cam", average_views)
        np.testing.assert_allclose(scores, expected_scores, atol=1e-5)
        np.testing.assert_allclose(heat, expected_heat, atol=1e-3)
    assert np.abs(theirs.logits(inputs) - theirs.logits(inputs, False)).max() > 1e-3


def test_metadata(fer, path):
    values = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    preprocessing = json.loads(values["gimefive.preprocessing"])
    assert preprocessing["size"] == {"height": 32, "width": 32}
    assert preprocessing["image_mean"] == list(fer.processor.image_mean)
    assert preprocessing["do_grayscale"] is True
    assert json.loads(values["gimefive.labels"]) == list(EMOTIONS)
    network = OnnxPredictor(path.parent)  # the folder of a model.onnx
    assert (network.precision, network.side) == ("fp32", 32)
    assert (network.facts.flip_average, network.facts.zoom_average) == (True, (1.1,))
    assert [file.name for file in path.parent.iterdir()] == ["model.onnx"]
    assert b"site-packages" not in path.read_bytes() and b".py" not in path.read_bytes()  # no paths of this machine


def test_int8_stays_close(tmp_path, fer, crops):
    inputs = fer.predictor.prepare(crops)
    export_onnx(fer.predictor, tmp_path / "q.onnx", lambda: iter([inputs]))
    network = OnnxPredictor(tmp_path / "q.onnx")
    assert network.precision == "int8"
    graph = onnx.load(tmp_path / "q.onnx").graph
    weights = [w for w in graph.initializer if w.data_type == onnx.TensorProto.INT8 and len(w.dims) == 4]
    assert len(weights) == 5, "the stem and two blocks of two convolutions"
    expected, logits = fer.predictor.logits(inputs), network.logits(inputs)
    assert 0 < np.abs(logits - expected).max() < 0.05 * np.abs(expected).max()
    assert [file.name for file in tmp_path.iterdir()] == ["q.onnx"]


def test_networks_without_exact_cam(tiny_onnx, tiny_model, tiny_processor, crops):
    ours, theirs = from_pretrained(tiny_onnx, backend="onnx"), ExpressionRecognizer(tiny_model, tiny_processor)
    np.testing.assert_allclose(ours.score_crops(crops), theirs.score_crops(crops), atol=1e-5)
    with pytest.raises(ValueError, match="use the torch backend"):
        predict_and_explain_crops(ours.predictor, crops, "grad-cam")


def test_the_commands_use_it(tmp_path, photo, capsys):
    model = save_tiny(tmp_path / "model")
    folder = image_folder(tmp_path / "crops", 20)
    file = str(tmp_path / "m.onnx")
    assert main(["export", "--model", str(model), "-o", file, "--int8", "--calibration", str(folder)]) == 0
    score = ["score", str(folder), "--crops", "--model", file, "--backend", "onnx"]
    assert main([*score, "-o", str(tmp_path / "s.csv")]) == 0
    capsys.readouterr()
    assert main(["predict", str(photo), "--model", file, "--backend", "onnx"]) == 0
    assert "astronaut.png" in capsys.readouterr().out


def test_mistakes(tmp_path, capsys, path):
    model = str(save_tiny(tmp_path / "model"))
    (tmp_path / "x.onnx").write_bytes(b"no graph")
    few = str(image_folder(tmp_path / "few", 3))
    for call, message in [
        (["export", "--model", model, "-o", str(tmp_path / "m.pt")], "must end in .onnx"),
        (["export", "--model", model, "-o", str(tmp_path / "m.onnx"), "--int8"], "needs --calibration"),
        (["export", "--model", model, "-o", str(tmp_path / "m.onnx"), "--int8", "--calibration", few], "at least 16"),
        (["predict", "p.png", "--backend", "onnx", "--model", model], "make one with `gimefive export"),
        (["predict", "p.png", "--backend", "onnx", "--model", str(tmp_path / "x.onnx")], "cannot load"),
    ]:
        assert main(call) == 2, call
        assert message in capsys.readouterr().err
    assert not (tmp_path / "m.onnx").exists()
    foreign = onnx.load(path)
    del foreign.metadata_props[:]
    onnx.save(foreign, tmp_path / "foreign.onnx")
    with pytest.raises(ValueError, match="not made by"):
        OnnxPredictor(tmp_path / "foreign.onnx")


def test_single_view_is_one_pass(tmp_path, fer, crops, capsys):
    """The fixture averages over mirrored images; both runtimes can leave that out."""
    model, file = tmp_path / "model", str(tmp_path / "single.onnx")
    fer.model.save_pretrained(model)
    fer.processor.save_pretrained(model)
    with torch.no_grad():
        expected = fer.model.classify(fer.pixel_values(crops))[0].softmax(-1).numpy()
    assert np.abs(fer.score_crops(crops) - expected).max() > 1e-3
    np.testing.assert_allclose(from_pretrained(model, single_view=True).score_crops(crops), expected, atol=1e-6)
    assert main(["export", "--model", str(model), "-o", file, "--single-view"]) == 0
    np.testing.assert_allclose(from_pretrained(file, backend="onnx").score_crops(crops), expected, atol=1e-5)
    averaged = tmp_path / "averaged.onnx"
    export_onnx(fer.predictor, averaged)
    one_pass = from_pretrained(averaged, backend="onnx", single_view=True).score_crops(crops)
    np.testing.assert_allclose(one_pass, expected, atol=1e-5)
