"""One explanation of a face, wherever it is asked for: library, command line, demo, failures page."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from gimefive_hf import ExpressionRecognizer, explain_face
from gimefive_hf.cli import main
from gimefive_hf.explain import explain
from gimefive_hf.explain.face import describe_heat, face_landmarks
from gimefive_hf.explain.regions import REGIONS
from tests.conftest import DEMO, make_tiny_checkpoint


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory):
    return ExpressionRecognizer.from_pretrained(make_tiny_checkpoint(tmp_path_factory.mktemp("face")))


@pytest.fixture(scope="module")
def face(recognizer, astronaut):
    (found,) = recognizer(astronaut)
    return found


def test_the_map_is_the_methods_and_the_shares_are_its(recognizer, face):
    found = explain_face(recognizer, face, "sadness", "saliency")
    heat = explain(recognizer.model, recognizer.pixel_values([face.crop.image]), "saliency", "sadness")[0]
    np.testing.assert_array_equal(found.heat, heat)
    assert (found.emotion, found.score) == ("sadness", face.scores["sadness"])
    assert found.landmarks.shape == (68, 2)
    assert tuple(found.shares) == REGIONS
    assert sum(found.shares.values()) == pytest.approx(1)
    strongest = max(found.shares, key=found.shares.__getitem__)
    assert found.sentence.startswith(f"sadness {face.scores['sadness']:.2f}, mostly from the {strongest}, ")


def test_a_map_on_the_mouth_alone(face):
    """By hand: all heat where the landmarks of the mouth lie."""
    side = face.crop.image.shape[0]
    located = describe_heat(face.crop.image, "fear", 0.5, np.ones((side, side), np.float32)).landmarks
    x, y = located[48:68].mean(0).round().astype(int)
    heat = np.zeros((side, side), np.float32)
    heat[y - 1 : y + 2, x - 1 : x + 2] = 1
    found = describe_heat(face.crop.image, "fear", 0.5, heat)
    assert found.shares["mouth"] == pytest.approx(1)
    assert found.sentence == "fear 0.50, mostly from the mouth, 100 %"


def test_where_the_crop_shows_no_landmarks_the_photos_serve(face):
    grey = replace(face, crop=replace(face.crop, image=np.full_like(face.crop.image, 128)))
    points, presence = face_landmarks(grey)
    assert presence == 1
    # By hand: a point of the photo lies where the crop's matrix sends it.
    expected = [face.crop.matrix @ (*point, 1) for point in face.landmarks]
    np.testing.assert_allclose(points, expected, rtol=1e-5, atol=1e-3)
    assert face_landmarks(replace(grey, landmarks=None))[1] < 0.5


def test_no_face_and_no_heat_are_said(face):
    grey = np.full((64, 64, 3), 128, np.uint8)
    nowhere = describe_heat(grey, "anger", 0.9, np.ones((16, 16), np.float32))
    assert nowhere.sentence == "anger 0.90; no landmarks were found"
    assert nowhere.landmarks is None
    assert np.isnan(list(nowhere.shares.values())).all()
    cold = describe_heat(face.crop.image, "anger", 0.9, np.zeros((16, 16), np.float32))
    assert cold.sentence == "anger 0.90, but no place in the picture speaks for it"


def test_mistakes(recognizer, face):
    with pytest.raises(ValueError, match="got joy"):
        explain_face(recognizer, face, "joy")
    with pytest.raises(ValueError, match="method must be one of"):
        explain_face(recognizer, face, method="guess")


def test_everybody_says_the_same(recognizer, face, astronaut, tiny_checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(DEMO))
    import why

    expected = explain_face(recognizer, face)
    dense = [expected.shares[region] / expected.areas[region] for region in REGIONS]
    np.testing.assert_allclose(why.densities(face, expected.heat), dense)
    Image.fromarray(astronaut).save(tmp_path / "photo.png")
    call = ["explain", str(tmp_path / "photo.png"), "-o", str(tmp_path / "why.png"), "--model", str(tiny_checkpoint)]
    assert main(call) == 0
    assert capsys.readouterr().out == f"photo.png: {expected.sentence}\n"
