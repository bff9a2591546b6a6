"""Covered parts of a face: what is covered, and what is scored."""

import numpy as np
import pytest

from gimefive_hf.explain.covering import PARTS, cover_parts
from gimefive_hf.explain.regions import REGIONS, region_map
from tests.explain.test_regions import drawn_face

SKIN, LIPS = 200, 30


@pytest.fixture
def face() -> tuple[np.ndarray, np.ndarray]:
    """A crop (200, 200, 3) of skin with dark lips, and its landmarks."""
    landmarks = drawn_face()
    crop = np.full((200, 200, 3), SKIN, np.uint8)
    crop[region_map(landmarks, (200, 200)) == REGIONS.index("mouth")] = LIPS
    return crop, landmarks


def no_scores(crops):
    return np.zeros((len(crops), 2), np.float32)


def darkness_of_mouth(landmarks):
    """A network of two classes that sees nothing but how dark the mouth is."""
    mouth = region_map(landmarks, (200, 200)) == REGIONS.index("mouth")

    def score(crops):
        dark = np.array([1 - crop[mouth].mean() / 255 for crop in crops], np.float32)
        return np.stack([dark, 1 - dark], 1)

    return score


def test_the_cover_is_skin_and_leaves_the_rest(face):
    crop, landmarks = face
    covered = cover_parts(crop, landmarks, no_scores, ["mouth"])[0].crop
    x, y = landmarks[48:60].mean(0).astype(int)
    assert covered[y, x] == pytest.approx(SKIN, abs=2)
    far = region_map(landmarks, (200, 200)) == REGIONS.index("eyes")
    assert np.array_equal(covered[far], crop[far])


def test_only_the_part_that_the_network_looks_at_changes_its_scores(face):
    crop, landmarks = face
    score = darkness_of_mouth(landmarks)
    before = score([crop])[0, 0]
    after = {c.part: c.scores[0] for c in cover_parts(crop, landmarks, score)}
    assert tuple(after) == PARTS
    assert before - after["mouth"] > 0.5
    assert all(after[part] == pytest.approx(before, abs=0.03) for part in ("brows", "eyes", "nose"))


def test_parts_outside_the_crop_are_left_out(face):
    crop, landmarks = face
    shifted = landmarks + np.array([0, 90], np.float32)  # chin and mouth below the border
    assert [c.part for c in cover_parts(crop, shifted, no_scores)] == ["brows", "eyes", "nose"]
    assert cover_parts(crop, shifted, no_scores, ["mouth"]) == []


@pytest.mark.parametrize("part", ["background", "ear"])
def test_unknown_parts_are_named(face, part):
    with pytest.raises(ValueError, match=part):
        cover_parts(*face, no_scores, ["mouth", part])
