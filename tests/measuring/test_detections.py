"""Scenes and what is found in them: in place, kept on disk, taken up again, and not read when it is stale."""

import numpy as np
import pytest
import torch

from training.measuring import detections
from training.measuring.detections import Way, find_faces
from training.measuring.scenes import SCENE, bare_scene, make_scene, scene_seed


@pytest.fixture
def face(astronaut):
    """A tight crop of a real face, uint8 RGB (3, h, w)."""
    return torch.from_numpy(np.ascontiguousarray(astronaut[60:190, 155:285])).permute(2, 0, 1)


def test_scene_shows_the_crop_where_it_says(face):
    crop = face.permute(1, 2, 0).numpy()
    scene = make_scene(crop, seed=3, face=130)
    x, y = (round(value - 65) for value in scene.centre)
    assert scene.image.shape == (SCENE, SCENE, 3)
    assert (scene.image[y : y + 130, x : x + 130] == crop).all()
    assert bare_scene(crop).centre == (65, 65)


def test_turned_crop_stays_about_its_centre(face):
    crop = face.permute(1, 2, 0).numpy()
    upright, turned = make_scene(crop, 3, 130), make_scene(crop, 3, 130, roll=90)
    assert turned.centre == upright.centre
    x, y = (round(value - 65) for value in turned.centre)
    inside = slice(2, 128)
    expected = np.rot90(crop, -1)  # clockwise
    got = turned.image[y : y + 130, x : x + 130]
    assert np.abs(got[inside, inside].astype(int) - expected[inside, inside]).mean() < 1


@pytest.mark.parametrize("side", [4, 300])
def test_side_that_does_not_fit_is_named(face, side):
    with pytest.raises(ValueError, match=f"got {side}"):
        make_scene(face.permute(1, 2, 0).numpy(), 0, side)


def test_seed_depends_on_the_image_alone():
    assert scene_seed("raf-db", "a.jpg") == scene_seed("raf-db", "a.jpg") != scene_seed("fer2013", "a.jpg")


def test_faces_are_found_kept_and_taken_up_again(face, tmp_path, monkeypatch):
    noise = torch.randint(0, 255, (3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pixels, sources = [face, noise, face], ["a", "b", "c"]
    first = find_faces("raf-db", "test", pixels, sources, cache=tmp_path)
    assert first.found.tolist() == [True, False, True]
    assert np.isnan(first.boxes[1]).all()
    scene = Way().scene(face, scene_seed("raf-db", "a"))
    x, y, width, height = first.detection(0).box
    assert (x + width / 2, y + height / 2) == pytest.approx(scene.centre, abs=25)
    assert np.abs(first.landmarks[0].mean(0) - scene.centre).max() < 30

    (path,) = tmp_path.glob("*.npz")
    known, arrays = detections.read_kept(path)
    assert list(known) == sources
    detections.keep(path, sources[:2], {name: array[:2] for name, array in arrays.items()})  # as if stopped after two
    monkeypatch.setattr(detections, "make_scene", count_calls(calls := [], detections.make_scene))
    monkeypatch.setattr(detections, "digest_of_search", lambda: path.stem.split("-")[-1])
    again = find_faces("raf-db", "test", pixels[::-1], sources[::-1], cache=tmp_path)  # in whatever order
    assert again.found.tolist() == first.found[::-1].tolist()
    np.testing.assert_array_equal(again.landmarks, first.landmarks[::-1])
    assert len(calls) == 1


def count_calls(calls, function):
    def counted(*args):
        calls.append(args)
        return function(*args)

    return counted


def test_broken_file_is_named(tmp_path, face):
    find_faces("raf-db", "test", [face], ["a"], cache=tmp_path)
    (path,) = tmp_path.glob("*.npz")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="not a whole file"):
        find_faces("raf-db", "test", [face], ["a"], cache=tmp_path)
