"""Regions of the face, shares of a heat map in them, and the sentence made of the shares."""

import numpy as np
import pytest

from gimefive_hf import EMOTIONS
from gimefive_hf.explain.regions import (
    BACKGROUND,
    EXPRESSIVE_REGIONS,
    REGIONS,
    crop_face_box,
    crop_landmarks,
    looks_at_background,
    reason,
    region_map,
    region_shares,
)
from gimefive_hf.faces.cropping import CROP_LIFT, CROP_MARGIN, crop_face
from gimefive_hf.faces.detector import detect_faces


def drawn_face(unit: float = 40.0, shift: tuple[float, float] = (0, 0)) -> np.ndarray:
    """68 landmarks of a schematic face, eyes `unit` pixels apart at (80, 80) and (120, 80) for 40."""

    def line(x0, y0, x1, y1, n):
        return np.stack([np.linspace(x0, x1, n), np.linspace(y0, y1, n)], 1)

    def ring(x, y, rx, ry, n):
        angle = np.pi + np.linspace(0, 2 * np.pi, n, endpoint=False)
        return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], 1)

    angle = np.linspace(np.pi, 0, 17)
    points = np.concatenate(
        [
            np.stack([100 + 45 * np.cos(angle), 85 + 65 * np.sin(angle)], 1),
            line(68, 68, 92, 66, 5),
            line(108, 66, 132, 68, 5),
            line(100, 80, 100, 100, 4),
            line(92, 106, 108, 106, 5),
            ring(80, 80, 8, 4, 6),
            ring(120, 80, 8, 4, 6),
            ring(100, 125, 18, 7, 12),
            ring(100, 125, 12, 3, 8),
        ]
    )
    return (points * unit / 40 + np.array(shift)).astype(np.float32)


@pytest.mark.parametrize(
    ("x", "y", "region"),
    [
        (80, 80, "eyes"),
        (120, 80, "eyes"),
        (80, 60, "brows"),
        (100, 62, "brows"),
        (100, 100, "nose"),
        (100, 125, "mouth"),
        (70, 100, "cheeks"),
        (130, 100, "cheeks"),
        (100, 143, "jaw"),
        (10, 10, "background"),
        (100, 190, "background"),
        (100, 20, "background"),
    ],
)
def test_where_the_regions_lie(x, y, region):
    assert REGIONS[region_map(drawn_face(), (200, 200))[y, x]] == region


def test_regions_turn_with_the_face():
    """A face turned by a quarter: the regions are the turned ones."""
    upright = region_map(drawn_face(), (201, 201))
    turned_points = np.stack([200 - drawn_face()[:, 1], drawn_face()[:, 0]], 1)
    turned = region_map(turned_points, (201, 201))
    assert (np.rot90(upright, -1) == turned).mean() > 0.98


def test_regions_scale_with_the_face():
    small = region_map(drawn_face(10), (50, 50))
    large = region_map(drawn_face(40), (200, 200))
    for index in range(len(REGIONS)):
        assert (small == index).mean() == pytest.approx((large == index).mean(), abs=0.02)
    cut = region_map(drawn_face(40, (-90, 0)), (200, 200))  # by the border
    assert {REGIONS[region] for region in np.unique(cut)} == set(REGIONS)
    assert list(EXPRESSIVE_REGIONS) == list(EMOTIONS)
    assert all(set(names) <= set(REGIONS) - {"background"} for names in EXPRESSIVE_REGIONS.values())


@pytest.mark.parametrize("points", [np.zeros((67, 2)), np.full((68, 2), np.nan)])
def test_other_landmarks_are_an_error(points):
    with pytest.raises(ValueError, match="68 finite landmarks"):
        region_map(points, (10, 10))


def test_shares_by_hand():
    regions = np.array([[[0, 1], [3, 6]]], np.uint8)
    heat = np.array([[[0.1, 0.2], [0.3, 0.4]]], np.float32)
    np.testing.assert_allclose(region_shares(heat, regions), [[0.1, 0.2, 0, 0.3, 0, 0, 0.4]], atol=1e-7)
    assert np.isnan(region_shares(0 * heat, regions)).all(), "missing is not zero"
    with pytest.raises(ValueError, match=r"one shape \(n, H, W\)"):
        region_shares(heat, regions[:, :1])


def test_a_model_that_looks_at_the_background_is_flagged():
    regions = np.repeat(region_map(drawn_face(40, (-40, -40)), (120, 120))[None], 3, 0)
    areas = region_shares(np.ones(regions.shape, np.float32), regions)
    mouth = region_shares((regions == REGIONS.index("mouth")).astype(np.float32), regions)
    corner = np.zeros(regions.shape, np.float32)
    corner[:, :20, :20] = 1
    outside = region_shares(corner, regions)
    assert not looks_at_background(mouth, areas)
    assert looks_at_background(outside, areas)
    # The mean decides: one map on the background among three does not outweigh it, two do.
    assert not looks_at_background(np.concatenate([mouth[:2], outside[:1]]), areas)
    assert looks_at_background(np.concatenate([mouth[:1], outside[:2]]), areas)
    with pytest.raises(ValueError, match="no map has any heat"):
        looks_at_background(np.full((3, 7), np.nan), areas)


def test_reason():
    shares = [0.22, 0.1, 0.06, 0.46, 0.1, 0.02, 0.04]
    assert reason("surprise", 0.912, shares) == "surprise 0.91, mostly from the mouth, 46 %, and the brows, 22 %"
    only = [0.05, 0.02, 0.02, 0.85, 0.02, 0.02, 0.02]
    assert reason("happiness", 1, only) == "happiness 1.00, mostly from the mouth, 85 %"
    area = [0.1] * 6 + [0.4]
    outside = [0.1] * 5 + [0.0, 0.5]
    assert reason("fear", 0.5, outside, area).endswith("it looks at the background, so don't rely on it")
    assert "background" not in reason("surprise", 0.9, shares, area)
    assert reason("anger", 0.2, [np.nan] * 7) == "anger 0.20, but no place in the picture speaks for it"


def test_face_box_of_a_crop_inverts_the_cropping(astronaut):
    """A box of a photo, followed into the crop that is made of it."""
    detection = detect_faces(astronaut)[0]
    crop = crop_face(astronaut, detection.box, size=112)
    x, y, width, height = detection.box
    corners = np.array([[x, y, 1], [x + width, y + height, 1]]) @ crop.matrix.T
    got = crop_face_box(112, 112)
    side = 112 / CROP_MARGIN
    assert max(corners[1] - corners[0]) == pytest.approx(side, abs=1)
    assert got[2] == got[3] == pytest.approx(side)
    centre = corners.mean(0)
    assert centre == pytest.approx([got[0] + side / 2, got[1] + side / 2], abs=1)
    assert CROP_LIFT > 0


def test_regions_of_a_real_face(astronaut):
    detection = detect_faces(astronaut)[0]
    crop = crop_face(astronaut, detection, size=112)
    points, presence = crop_landmarks(crop.image)
    assert presence > 0.9
    regions = region_map(points, (112, 112))
    eyes = detection.keypoints[:2] @ crop.matrix[:, :2].T + crop.matrix[:, 2]
    for x, y in eyes.round().astype(int):
        assert REGIONS[regions[y, x]] == "eyes"
    x, y = (detection.keypoints[3] @ crop.matrix[:, :2].T + crop.matrix[:, 2]).round().astype(int)
    assert REGIONS[regions[y, x]] == "mouth"
    assert 0.1 < (regions == BACKGROUND).mean() < 0.5
