"""Deletion, insertion, pointing, baselines and the randomisation check, on cases whose outcome is known."""

import numpy as np
import pytest
import torch

from evaluation.faithfulness import (
    BASELINES,
    auc,
    baseline_maps,
    blurred,
    curve_ends,
    curves,
    estimate,
    pixel_ranks,
    pointing_hits,
    proportion,
    randomised,
    rank_correlation,
)
from gimefive_hf.explain import explain
from gimefive_hf.explain.regions import REGIONS
from tests.cases.explain_cases import build, corner_network, images


def probability(model, x, target=0):
    with torch.no_grad():
        return model.classify(x)[0].softmax(1)[:, target].numpy()


def test_area_by_hand():
    np.testing.assert_allclose(auc(np.array([[1.0, 0.5, 0.0], [1, 1, 1], [0, 0, 1]])), [0.5, 1.0, 0.25])


def test_estimate_by_hand():
    e = estimate(np.array([1.0, 2, 3, np.nan]))
    assert (e.value, e.n) == (2.0, 3)
    assert e.high - e.value == pytest.approx(1.96 / 3**0.5)
    assert e.value - e.low == pytest.approx(1.96 / 3**0.5)
    assert estimate(np.array([np.nan])).n == 0
    assert np.isnan(estimate(np.array([5.0])).low)


def test_proportion_is_wilsons():
    """Wilson's interval for 8 of 10 is 0.490 to 0.943."""
    e = proportion(8, 10)
    assert (e.value, e.n) == (0.8, 10)
    assert (e.low, e.high) == pytest.approx((0.4902, 0.9433), abs=2e-4)
    assert np.isnan(proportion(0, 0).value)


def test_estimate_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(0)
    covered = [(e := estimate(random.exponential(size=200))).low < 1 < e.high for _ in range(400)]
    assert 0.90 < np.mean(covered) < 0.98


def test_ranks():
    heat = np.array([[[0.3, 0.9], [0.1, 0.5]]], np.float32)
    assert pixel_ranks(heat).tolist() == [[2, 0, 3, 1]]


def test_equal_pixels_come_in_random_order():
    """The rank of a pixel in a constant map has nothing to do with its place."""
    ranks = pixel_ranks(np.zeros((1, 40, 40), np.float32))[0]
    assert sorted(ranks.tolist()) == list(range(1600))
    assert abs(np.corrcoef(ranks.numpy(), np.arange(1600))[0, 1]) < 0.1
    # Hot pixels still come before the ties.
    heat = np.zeros((1, 4, 4), np.float32)
    heat[0, 2, 2] = 1
    assert pixel_ranks(heat)[0, 10] == 0


def test_curves_by_hand():
    """The network sees the upper left 4×4 of 16×16 pixels: a right map decides both curves in the first sixteenth."""
    model = corner_network()
    torch.manual_seed(0)
    x = torch.rand(2, 1, 16, 16) + 0.5
    right, wrong = np.zeros((2, 2, 16, 16), np.float32)
    right[:, :4, :4] = 1
    wrong[:, 12:, 12:] = 1
    whole, empty = probability(model, x), probability(model, torch.zeros_like(x))
    blurry = probability(model, blurred(x))
    deletion, insertion = curves(model, x, [0, 0], right, steps=16)
    assert deletion.shape == insertion.shape == (2, 17)
    for step in range(1, 17):
        np.testing.assert_allclose(deletion[:, step], empty, atol=1e-5)
        np.testing.assert_allclose(insertion[:, step], whole, atol=1e-5)
    np.testing.assert_allclose(deletion[:, 0], whole, atol=1e-6)
    np.testing.assert_allclose(insertion[:, 0], blurry, atol=1e-6)
    late, later = curves(model, x, [0, 0], wrong, steps=16)
    np.testing.assert_allclose(late[:, 1], whole, atol=1e-5)
    np.testing.assert_allclose(later[:, 1], blurry, atol=1e-5)
    assert (auc(deletion) < auc(late)).all()


def test_curve_ends_can_be_shared():
    model, x = build("conv"), images()
    heat = explain(model, x, "saliency", 1)
    blur = blurred(x)
    ends = curve_ends(model, x, [1, 1], blur)
    for a, b in zip(curves(model, x, [1, 1], heat), curves(model, x, [1, 1], heat, 8, blur, ends), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    with pytest.raises(ValueError, match="expected heat maps"):
        curves(model, x, [1, 1], heat[:, :8])


def test_blur_keeps_the_mean_and_takes_the_detail():
    x = torch.zeros(1, 3, 40, 40)
    x[:, :, ::2] = 1
    out = blurred(x)
    assert out.shape == x.shape
    assert out[..., 15:25, 15:25].std() < 0.02
    assert out.mean() == pytest.approx(0.5, abs=0.02)
    torch.testing.assert_close(blurred(torch.full((1, 1, 20, 20), 3.0)), torch.full((1, 1, 20, 20), 3.0))


@pytest.mark.parametrize("name", BASELINES)
def test_baselines(name):
    grey = np.random.default_rng(0).integers(0, 255, (3, 28, 28), np.uint8)
    heat = baseline_maps(name, grey, seed=1)
    assert heat.shape == (3, 28, 28)
    assert heat.dtype == np.float32
    assert heat.min() >= 0
    assert heat.max() <= 1
    np.testing.assert_array_equal(heat, baseline_maps(name, grey, seed=1))


def test_baselines_are_what_they_are_called():
    grey = np.zeros((1, 28, 28), np.uint8)
    grey[:, :, 14:] = 200
    edges = baseline_maps("edges", grey)[0]
    assert set(np.unique(np.nonzero(edges)[1])) == {13, 14}
    bump = baseline_maps("centred gaussian", grey)[0]
    assert bump[14, 14] == bump.max() == 1
    assert bump[0, 0] == bump.min() == 0
    np.testing.assert_allclose(bump, bump[::-1, ::-1], atol=1e-6)
    with pytest.raises(ValueError, match="a baseline is one of random cells"):
        baseline_maps("noise", grey)


def test_every_method_beats_a_random_map_on_the_planted_network():
    model = corner_network()
    torch.manual_seed(1)
    x = torch.rand(8, 1, 16, 16) + 0.5
    random = baseline_maps("random cells", np.zeros((8, 16, 16), np.uint8))
    deletion, insertion = curves(model, x, [0] * 8, random)
    base = (auc(insertion) - auc(deletion)).mean()
    # Saliency marks only the winners of the max-poolings, so that others win once those are gone.
    margins = dict.fromkeys(("cam", "grad-cam", "grad-cam++", "score-cam", "layer-cam", "occlusion"), 0.1)
    for method, margin in (margins | {"saliency": 0.0}).items():
        deletion, insertion = curves(model, x, [0] * 8, explain(model, x, method, 0))
        assert (auc(insertion) - auc(deletion)).mean() > base + margin, method


def test_pointing():
    regions = np.full((4, 10, 10), REGIONS.index("background"), np.uint8)
    regions[:, 6:8] = REGIONS.index("mouth")
    regions[:, :2] = REGIONS.index("brows")
    heat = np.zeros((4, 10, 10), np.float32)
    heat[0, 7, 5] = heat[1, 7, 5] = heat[2, 0, 0] = 1
    hits = pointing_hits(heat, regions, ["happiness", "sadness", "happiness", "happiness"])
    # The brows are no place of happiness, and a constant map points nowhere.
    assert hits.tolist() == [True, True, False, False]
    assert pointing_hits(heat[2:3], regions[2:3], ["anger"]).tolist() == [True]


def test_rank_correlation():
    random = np.random.default_rng(0)
    a = random.random((3, 28, 28), np.float32)
    np.testing.assert_allclose(rank_correlation(a, a**3), 1, atol=1e-12)
    np.testing.assert_allclose(rank_correlation(a, 1 - a), -1, atol=1e-12)
    assert np.abs(rank_correlation(a, random.random((3, 28, 28), np.float32))).max() < 0.15
    assert np.isnan(rank_correlation(a, np.zeros_like(a))).all()


def test_randomised_networks():
    model = build("residual")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    head, everything = randomised(model, "classifier", 1), randomised(model, "all", 1)
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])
        if key.startswith("classifier"):
            assert not torch.equal(head.state_dict()[key], value)
        else:
            assert torch.equal(head.state_dict()[key], value)
    changed = [k for k, v in model.named_parameters() if not torch.equal(everything.state_dict()[k], v)]
    assert len(changed) == len(list(model.parameters()))
    torch.testing.assert_close(randomised(model, "all", 1).state_dict(), everything.state_dict())
    with pytest.raises(ValueError, match="'classifier' or 'all'"):
        randomised(model, "stem")


def test_randomisation_check_tells_class_maps_from_activations():
    """A new classifier changes what Grad-CAM shows and leaves the activations, which don't depend on it."""
    model = build("residual")
    x = images(4)
    stranger = randomised(model, "classifier")
    same = {m: rank_correlation(explain(model, x, m, 1), explain(stranger, x, m, 1)) for m in ("cam", "activations")}
    np.testing.assert_allclose(same["activations"], 1, atol=1e-12)
    assert np.nanmean(same["cam"]) < 0.8
