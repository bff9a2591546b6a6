"""ONNX files: the same numbers as torch, and everything that is needed inside."""

import json

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from gimefive_hf import (
    EMOTIONS,
    ExpressionRecognizer,
    GiMeFiveConfig,
    GiMeFiveForImageClassification,
    GiMeFiveImageProcessor,
)
from gimefive_hf.cli import main
from gimefive_hf.runtimes.backends import SINGLE_VIEW, make_recognizer
from gimefive_hf.runtimes.export import export_onnx
from gimefive_hf.runtimes.onnx_classifier import OnnxClassifier
from gimefive_hf.video.live_scores import score_and_explain

from .video_cases import face_photo, image_folder, save_tiny, tiny_recognizer


@pytest.fixture(scope="module")
def fer():
    """With mirrored and zoomed averaging, a temperature and a margin of its own, all of which must survive."""
    fer = tiny_recognizer()
    fer.model.config.flip_average = True
    fer.model.config.zoom_average = [1.1]
    fer.model.config.temperature = 1.7
    fer.margin = 1.3
    return fer


@pytest.fixture(scope="module")
def path(tmp_path_factory, fer):
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export_onnx(fer, path)
    return path


@pytest.fixture(scope="module")
def crops() -> list[np.ndarray]:
    photo = face_photo()
    return [photo[y : y + 150, x : x + 150] for y in (0, 40, 200) for x in (60, 140, 300)]


@pytest.mark.parametrize("count", [1, 2, 9])
def test_logits_and_maps_are_torchs(fer, path, crops, count):
    onnx_fer = make_recognizer(str(path), backend="onnx")
    values = fer.pixel_values(crops[:count])
    assert torch.equal(values, onnx_fer.pixel_values(crops[:count])), "the preprocessing is in the file"
    with torch.no_grad():
        expected = fer.model(values).logits
    torch.testing.assert_close(onnx_fer.model(values).logits, expected, atol=1e-4, rtol=0)
    scores, heat = score_and_explain(onnx_fer, crops[:count], "grad-cam")
    expected_scores, expected_heat = score_and_explain(fer, crops[:count], "grad-cam")
    np.testing.assert_allclose(scores, expected_scores, atol=1e-5)
    np.testing.assert_allclose(heat, expected_heat, atol=1e-3)


def test_metadata(fer, path):
    values = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    preprocessing = json.loads(values["gimefive.preprocessing"])
    assert preprocessing["size"] == {"height": 32, "width": 32}
    assert preprocessing["image_mean"] == list(fer.processor.image_mean)
    assert preprocessing["do_grayscale"] is True
    assert json.loads(values["gimefive.labels"]) == list(EMOTIONS)
    network = OnnxClassifier(path.parent)  # the folder of a model.onnx
    assert (network.precision, network.margin, network.config.temperature) == ("fp32", 1.3, 1.7)
    assert [file.name for file in path.parent.iterdir()] == ["model.onnx"]
    assert b"site-packages" not in path.read_bytes() and b".py" not in path.read_bytes()  # no paths of this machine


def test_int8_stays_close(tmp_path, fer, crops):
    values = fer.pixel_values(crops)
    export_onnx(fer, tmp_path / "q.onnx", lambda: iter([values]))
    network = OnnxClassifier(tmp_path / "q.onnx")
    assert network.precision == "int8"
    graph = onnx.load(tmp_path / "q.onnx").graph
    weights = [w for w in graph.initializer if w.data_type == onnx.TensorProto.INT8 and len(w.dims) == 4]
    # the stem and two blocks of two convolutions; with mirrored averaging every one may stand twice
    assert len(weights) in (5, 10)
    with torch.no_grad():
        expected = fer.model(values).logits
    logits = network(values).logits
    assert (logits - expected).abs().max() < 0.05 * expected.abs().max()
    assert not torch.equal(logits, expected)
    assert [file.name for file in tmp_path.iterdir()] == ["q.onnx"]


def test_networks_without_exact_cam(tmp_path, crops):
    torch.manual_seed(0)
    config = GiMeFiveConfig(image_size=32, widths=[4, 8], classifier_widths=[8])
    processor = GiMeFiveImageProcessor(size={"height": 32, "width": 32})
    fer = ExpressionRecognizer(GiMeFiveForImageClassification(config), processor)
    export_onnx(fer, tmp_path / "m.onnx")
    onnx_fer = make_recognizer(str(tmp_path / "m.onnx"), backend="onnx")
    np.testing.assert_allclose(onnx_fer.score_crops(crops), fer.score_crops(crops), atol=1e-5)
    with pytest.raises(ValueError, match="CAM is not exact"):
        score_and_explain(onnx_fer, crops, "grad-cam")


def test_the_commands_use_it(tmp_path, capsys):
    model = save_tiny(tmp_path / "model")
    folder = image_folder(tmp_path / "crops", 20)
    file = str(tmp_path / "m.onnx")
    assert main(["export", "--model", str(model), "-o", file, "--int8", "--calibration", str(folder)]) == 0
    score = ["score", str(folder), "--crops", "--model", file, "--backend", "onnx"]
    assert main([*score, "-o", str(tmp_path / "s.csv")]) == 0
    photo = tmp_path / "p.png"
    Image.fromarray(face_photo()).save(photo)
    capsys.readouterr()
    assert main(["predict", str(photo), "--model", file, "--backend", "onnx"]) == 0
    assert "p.png" in capsys.readouterr().out


def test_mistakes(tmp_path, capsys, path):
    model = str(save_tiny(tmp_path / "model"))
    (tmp_path / "x.onnx").write_bytes(b"no graph")
    few = str(image_folder(tmp_path / "few", 3))
    for call, message in [
        (["export", "--model", model, "-o", str(tmp_path / "m.pt")], "must end in .onnx"),
        (["export", "--model", model, "-o", str(tmp_path / "m.onnx"), "--int8"], "needs --calibration"),
        (["export", "--model", model, "-o", str(tmp_path / "m.onnx"), "--int8", "--calibration", few], "at least 16"),
        (["predict", "p.png", "--backend", "onnx"], "make one with `gimefive export"),
        (["predict", "p.png", "--backend", "onnx", "--model", str(tmp_path / "x.onnx")], "cannot load"),
    ]:
        assert main(call) == 2, call
        assert message in capsys.readouterr().err
    assert not (tmp_path / "m.onnx").exists()
    foreign = onnx.load(path)
    del foreign.metadata_props[:]
    onnx.save(foreign, tmp_path / "foreign.onnx")
    with pytest.raises(ValueError, match="not made by"):
        OnnxClassifier(tmp_path / "foreign.onnx")


def test_single_view_is_one_pass(tmp_path, fer, crops, capsys):
    """The fixture averages over mirrored images; both runtimes can leave that out."""
    model, file = tmp_path / "model", str(tmp_path / "single.onnx")
    fer.model.save_pretrained(model)
    fer.processor.save_pretrained(model)
    with torch.no_grad():
        expected = fer.model.classify(fer.pixel_values(crops))[0].softmax(-1).numpy()
    assert np.abs(fer.score_crops(crops) - expected).max() > 1e-3
    np.testing.assert_allclose(make_recognizer(str(model), **SINGLE_VIEW).score_crops(crops), expected, atol=1e-6)
    assert main(["export", "--model", str(model), "-o", file, "--single-view"]) == 0
    np.testing.assert_allclose(make_recognizer(file, "onnx").score_crops(crops), expected, atol=1e-5)
    call = ["score", str(tmp_path), "-o", str(tmp_path / "s.csv"), "--backend", "onnx", "--model", file]
    assert main([*call, "--single-view"]) == 2
    assert "export with --single-view" in capsys.readouterr().err
