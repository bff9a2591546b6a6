"""Networks in onnxruntime beside torch: the same input, the same views, the same answers, and no torch loaded."""

import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as tvf

from gimefive_hf import (
    EMOTIONS,
    ExpressionRecognizer,
    GiMeFiveConfig,
    GiMeFiveImageProcessor,
    Predictor,
    from_pretrained,
)
from gimefive_hf.bundled import BUNDLED
from gimefive_hf.cli import main
from gimefive_hf.explain.scaling import scale_maps, stretch
from gimefive_hf.modeling_gimefive import zoom as torch_zoom
from gimefive_hf.runtimes.backends import load_predictor
from gimefive_hf.runtimes.export import export_onnx
from gimefive_hf.runtimes.onnx_predictor import ExportedFacts, OnnxPredictor, onnx_file
from gimefive_hf.runtimes.predictor import predict_and_explain_crops, predict_crops
from gimefive_hf.runtimes.preprocessing import Preprocessing, luma
from gimefive_hf.runtimes.torch_predictor import TorchPredictor
from gimefive_hf.runtimes.views import zoom
from tests.cases.video_cases import face_photo, image_folder, moving_face, save_tiny, tiny_recognizer, write_clip

RANDOM = np.random.default_rng(0)
SHAPES = [(8, 8), (48, 48), (64, 64), (65, 63), (97, 131), (112, 112), (224, 224), (16, 400), (1000, 20), (1100, 777)]


def noise(height: int, width: int) -> np.ndarray:
    return RANDOM.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A tiny checkpoint with an ONNX file, six views and a threshold."""
    folder = tmp_path_factory.mktemp("runtimes") / "tiny"
    fer = tiny_recognizer()
    fer.model.config.flip_average, fer.model.config.zoom_average = True, [1.1, 0.9]
    fer.model.config.confidence_threshold = 0.31
    fer.model.save_pretrained(folder)
    fer.processor.save_pretrained(folder)
    export_onnx(fer.predictor, folder / "model.onnx")
    return folder


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"size": {"height": 112, "width": 112}, "image_mean": [0.48, 0.46, 0.41], "image_std": [1.0, 1.0, 1.0]},
        {"size": {"height": 90, "width": 130}, "do_grayscale": False},
        {"do_normalize": False},
        {"do_rescale": False, "do_grayscale": False},
        {"do_normalize": False, "do_rescale": False},
    ],
)
def test_preprocessing_is_the_processors(options):
    """To the bit, whatever the crops' sizes: torch resizes in whole numbers."""
    processor = GiMeFiveImageProcessor(**options)
    crops = [noise(*shape) for shape in SHAPES] + [np.ascontiguousarray(face_photo()[50:180, 160:290])]
    expected = processor(crops, return_tensors="pt", input_data_format="channels_last")["pixel_values"]
    found = Preprocessing.from_dict(json.loads(processor.to_json_string()))(crops)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected.float().numpy())


def test_luma_is_torchvisions():
    """It cuts off, so a rounding in the last place can change a level: colours near whole numbers are all tried."""
    grid = np.stack(np.meshgrid(np.arange(0, 256, 5), np.arange(256), np.arange(256), indexing="ij"), -1)
    image = grid.reshape(52 * 256, 256, 3).astype(np.uint8)
    expected = tvf.rgb_to_grayscale(torch.from_numpy(image).permute(2, 0, 1))[0].numpy()
    np.testing.assert_array_equal(luma(image), expected)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"resample": 3}, "resample=3"),
        ({"do_center_crop": True}, "do_center_crop"),
        ({"size": {"shortest_edge": 64}}, "shortest_edge"),
    ],
)
def test_preprocessing_that_only_torch_knows(values, message):
    with pytest.raises(ValueError, match=f"{message}.*torch backend"):
        Preprocessing.from_dict(json.loads(GiMeFiveImageProcessor().to_json_string()) | values)


def test_crops_that_are_not_resized_must_be_of_one_size():
    same = Preprocessing(size=None)
    assert same([noise(20, 30), noise(20, 30)]).shape == (2, 3, 20, 30)
    with pytest.raises(ValueError, match="several sizes"):
        same([noise(20, 30), noise(30, 20)])


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1, 1.37, 2.0])
@pytest.mark.parametrize("side", [15, 64, 112])
def test_zoom_is_the_models(factor, side):
    images = RANDOM.normal(size=(2, 3, side, side)).astype(np.float32)
    expected = torch_zoom(torch.from_numpy(images), factor).numpy()
    np.testing.assert_allclose(zoom(images, factor), expected, atol=1e-4)


def test_facts_that_a_config_leaves_out_are_its_defaults():
    default, names = GiMeFiveConfig(), ("config", "views", "labels", "preprocessing", "precision")
    processor = GiMeFiveImageProcessor().to_json_string()
    values = (default.to_json_string(), "outside", json.dumps(EMOTIONS), processor, "fp32")
    facts = ExportedFacts.from_metadata({f"gimefive.{name}": v for name, v in zip(names, values, strict=True)})
    assert (facts.side, facts.architecture) == (default.image_size, default.architecture)
    assert (facts.flip_average, facts.zoom_average) == (default.flip_average, tuple(default.zoom_average))
    assert facts.threshold == (default.confidence_threshold or 0.0)


@pytest.mark.parametrize("size", [(7, 7), (64, 64), (112, 90)])
def test_maps_are_scaled_as_by_torch(size):
    maps = RANDOM.normal(size=(3, 7, 7)).astype(np.float32)
    maps[1] = 0.4  # the same everywhere
    enlarged = torch.nn.functional.interpolate(torch.from_numpy(stretch(maps))[:, None], size, mode="bilinear")
    expected = stretch(enlarged[:, 0].numpy())
    np.testing.assert_allclose(scale_maps(maps, size), expected, atol=1e-5)
    assert expected[0].min() == 0 and expected[0].max() == 1
    assert scale_maps(maps, size).dtype == np.float32 and not scale_maps(maps, size)[1].any()


def test_both_are_predictors_with_the_same_facts_and_answers(checkpoint):
    ours, theirs = load_predictor(checkpoint, "onnx"), load_predictor(checkpoint, "torch")
    assert isinstance(ours, Predictor) and isinstance(theirs, Predictor)
    for name in ("emotions", "threshold", "side", "precision"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.threshold == 0.31
    crops = [noise(80, 80) for _ in range(5)]
    for average_views in (True, False):
        expected = predict_crops(theirs, crops, 2, average_views)
        np.testing.assert_allclose(predict_crops(ours, crops, 3, average_views), expected, atol=1e-5)
    single = load_predictor(checkpoint, "onnx", single_view=True)
    np.testing.assert_allclose(predict_crops(single, crops), predict_crops(ours, crops, average_views=False), atol=1e-6)
    assert predict_crops(ours, []).shape == (0, 6)
    assert predict_and_explain_crops(ours, [], "cam")[0].shape == (0, 6)


def test_the_recogniser_on_onnxruntime(checkpoint):
    ours, theirs = from_pretrained(checkpoint, backend="onnx"), from_pretrained(checkpoint)
    (face,), (expected,) = ours(face_photo()), theirs(face_photo())
    assert face.scores == pytest.approx(expected.scores, abs=1e-5)
    assert (face.threshold, face.box) == (expected.threshold, expected.box)
    for wanted in ("model", "processor", "torch_predictor"):
        with pytest.raises(ValueError, match="backend='torch'"):
            getattr(ours, wanted)
    with pytest.raises(ValueError, match="backend='torch'"):
        ours.pixel_values([noise(9, 9)])
    with pytest.raises(ValueError, match="image processor"):
        ExpressionRecognizer(theirs.model)
    with pytest.raises(ValueError, match="revision"):
        from_pretrained(checkpoint, backend="onnx", revision="main")


@pytest.mark.parametrize(
    ("options", "backend"),
    [
        ({}, "onnx"),
        ({"explain": "grad-cam"}, "onnx"),
        ({"single_view": True}, "onnx"),
        ({"explain": "saliency"}, "torch"),
        ({"precision": "bf16"}, "torch"),
        ({"flip_average": False}, "torch"),
    ],
)
def test_auto_takes_the_file_where_it_gives_what_is_asked_for(checkpoint, options, backend):
    assert load_predictor(checkpoint, "auto", **options).backend == backend


def test_auto_without_a_file_in_fp32(tmp_path):
    save_tiny(tmp_path / "plain")
    assert load_predictor(tmp_path / "plain", "auto").backend == "torch"
    assert load_predictor("gimefive-fast", "auto").backend == "torch", "its file is in int8, which gives other scores"
    with pytest.raises(ValueError, match="no model"):
        load_predictor(tmp_path / "nothing", "auto")


def test_a_copy_in_another_process(checkpoint):
    predictor = load_predictor(checkpoint, "onnx", single_view=True)
    copy = pickle.loads(pickle.dumps(predictor))
    crops = [noise(60, 60)]
    np.testing.assert_array_equal(predict_crops(copy, crops), predict_crops(predictor, crops))
    assert copy.fingerprint() == predictor.fingerprint() != load_predictor(checkpoint, "onnx").fingerprint()


@pytest.mark.parametrize("name", [name for name in BUNDLED if onnx_file(name)])
def test_bundled_files_say_what_the_weights_beside_them_say(name, astronaut):
    """Fp32 to 1e-4 in every logit; int8 to a tenth in every score."""
    ours, theirs = OnnxPredictor(name), TorchPredictor.from_pretrained(name)
    for fact in ("emotions", "threshold", "side"):
        assert getattr(ours, fact) == getattr(theirs, fact), fact
    crops = [astronaut[50 + step : 170 + step, 160 - step : 280 - step] for step in range(0, 40, 10)]
    inputs = theirs.prepare(crops)
    np.testing.assert_array_equal(ours.prepare(crops), inputs)
    name, tolerance = ("logits", 1e-4) if ours.precision == "fp32" else ("predict", 0.1)
    for average_views in (True, False):
        found, expected = (getattr(one, name)(inputs, average_views) for one in (ours, theirs))
        np.testing.assert_allclose(found, expected, atol=tolerance)


FORBIDDEN = ("torch", "torchvision", "transformers", "scipy", "pandas", "pyarrow", "matplotlib")
PROBE = """
import sys
from gimefive_hf.cli import main
code = main(sys.argv[1:])
loaded = [name for name in {forbidden!r} if name in sys.modules]
(peak,) = [int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")]
print("probe", code, peak, *loaded, file=sys.stderr)
"""


def probe(*arguments: object) -> tuple[int, float, list[str]]:
    """Exit code, peak memory in MB and which of `FORBIDDEN` were loaded, of a command in a process of its own."""
    call = [sys.executable, "-c", PROBE.format(forbidden=FORBIDDEN), *map(str, arguments)]
    done = subprocess.run(call, capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("probe")]
    _, code, peak, *loaded = line.split()
    return int(code), float(peak), loaded


def test_a_photo_needs_no_torch(checkpoint, photo):
    for options in ([], ["--fast"], ["--model", checkpoint], ["--model", checkpoint / "model.onnx", "--json"]):
        code, peak, loaded = probe("predict", photo, *options)
        assert (code, loaded) == (0, []), options
        assert peak < 350
    code, _, loaded = probe("predict", photo, "--model", checkpoint, "--backend", "torch")
    assert code == 0 and "torch" in loaded


def test_a_folder_needs_no_torch(checkpoint, tmp_path):
    folder = image_folder(tmp_path / "crops", 6)
    for name, options in (("fast", ["--fast"]), ("file", ["--model", checkpoint, "--precision", "fp32"])):
        code, _, loaded = probe("score", folder, "--crops", "-o", tmp_path / f"{name}.csv", *options)
        assert (code, loaded) == (0, []), options


def test_a_video_needs_no_torch(checkpoint, tmp_path):
    source = write_clip(tmp_path / "in.mp4", moving_face(6, 160, 120))
    options = ["--model", checkpoint, "--precision", "fp32", "--explain", "grad-cam"]
    for name, more in (("fast", ["--fast"]), ("file", options)):
        output, table = tmp_path / f"{name}.mp4", tmp_path / f"{name}.csv"
        code, _, loaded = probe("video", source, "-o", output, "--timeline", table, *more)
        assert (code, loaded) == (0, []), more
        assert output.stat().st_size and len(table.read_text().splitlines()) == 7


def test_import_and_help_load_nothing():
    for code in ("import gimefive_hf", "from gimefive_hf.cli import build_parser; build_parser()"):
        code += "; import sys; print([n for n in ('torch', 'numpy', 'pandas', 'pyarrow') if n in sys.modules])"
        assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_fast_and_what_contradicts_it(photo, capsys):
    assert main(["predict", str(photo), "--fast"]) == 0
    assert "happiness" in capsys.readouterr().out
    for more in (["--model", "gimefive-paper"], ["--backend", "torch"], ["--precision", "bf16"]):
        assert main(["predict", str(photo), "--fast", *more]) == 2
        assert "--fast chooses" in capsys.readouterr().err
