"""Photo in, scored faces out, with the checkpoint that comes with the package."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import gimefive_hf
from gimefive_hf import EMOTIONS, ExpressionRecognizer, FaceDetector, GiMeFiveForImageClassification
from gimefive_hf.faces.detections import overlap
from gimefive_hf.recognizer import NO_CLEAR_EMOTION, Face

BUNDLED = Path(gimefive_hf.__file__).parent / "checkpoints" / "gimefive"


def test_smiling_astronaut_is_happy(bundled, astronaut):
    (face,) = bundled(astronaut)
    assert face.emotion == "happiness"
    assert face.label == "happiness"
    assert face.score == max(face.scores.values()) > 0.5
    assert tuple(face.scores) == EMOTIONS
    assert sum(face.scores.values()) == pytest.approx(1, abs=1e-5)
    assert overlap(face.box, (174, 75, 100, 100))[0] > 0.7
    assert face.landmarks.shape == (68, 2)


def test_paths_pil_arrays_and_lists_agree(bundled, astronaut, faceless, tmp_path):
    Image.fromarray(astronaut).save(tmp_path / "a.png")
    expected = bundled(astronaut)[0].scores
    for source in (tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(astronaut)):
        assert bundled(source)[0].scores == pytest.approx(expected, abs=1e-6)
    results = bundled([astronaut, faceless, tmp_path / "a.png"], landmarks=False)
    assert [len(faces) for faces in results] == [1, 0, 1]
    assert results[2][0].scores == pytest.approx(expected, abs=1e-4)
    assert results[0][0].landmarks is None
    assert bundled([]) == bundled(faceless) == []
    (tmp_path / "notes.jpg").write_text("no picture")
    with pytest.raises(ValueError, match=r"notes\.jpg: not an image"):
        bundled([tmp_path / "notes.jpg"])


def test_a_crop_is_taken_as_it_is(bundled, faceless, astronaut):
    (face,) = bundled(faceless, crops=True)
    assert face.box == (0, 0, 600, 400)
    assert np.isnan(face.detection_score)
    crop = bundled(astronaut)[0].crop.image
    assert bundled(crop, crops=True)[0].scores == pytest.approx(bundled(astronaut)[0].scores, abs=1e-5)


def test_batches_do_not_change_scores(bundled, astronaut):
    rng = np.random.default_rng(0)
    crops = [astronaut[y : y + 90, x : x + 90] for y, x in rng.integers(0, 400, (7, 2))]
    one_by_one = np.concatenate([bundled.score_crops([crop]) for crop in crops])
    np.testing.assert_allclose(bundled.score_crops(crops, batch_size=3), one_by_one, atol=1e-5)
    assert bundled.score_crops([]).shape == (0, 6)


def test_bundled_checkpoint_is_the_named_one():
    loaded = gimefive_hf.from_pretrained("gimefive", detector=FaceDetector(tile_scales=()), margin=1.2)
    assert isinstance(loaded, ExpressionRecognizer)
    assert loaded.margin == 1.2
    assert (BUNDLED / "model.safetensors").stat().st_size < 25_000_000
    by_path = GiMeFiveForImageClassification.from_pretrained(BUNDLED)
    for a, b in zip(loaded.model.parameters(), by_path.parameters(), strict=True):
        assert a.dtype == torch.float32
        assert torch.equal(a, b)


def test_low_confidence_is_no_clear_emotion(bundled, astronaut):
    face = bundled(astronaut)[0]
    strict = Face(face.box, 1.0, {"happiness": 0.3, "fear": 0.7}, face.crop, threshold=0.8)
    assert not strict.is_clear
    assert (strict.emotion, strict.label) == ("fear", NO_CLEAR_EMOTION)
