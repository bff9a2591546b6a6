"""Heat maps against hand-computed ones, stored ones, and what must hold for any method and any network."""

import copy
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import pytorch_grad_cam
import torch
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from gimefive_hf import GiMeFiveConfig, GiMeFiveForImageClassification
from gimefive_hf.explain import METHODS, explain, explain_classes
from gimefive_hf.explain.activations import feature_maps
from gimefive_hf.explain.cam import cam_from_features
from gimefive_hf.explain.layers import SinglePass, feature_layer, reshape_transform, scale_maps
from tests.cases.explain_cases import (
    CONFIGS,
    EXACT,
    GOLDEN,
    HAND_IMAGE,
    TIMM_CONFIGS,
    build,
    corner_network,
    golden_maps,
    hand_network,
    images,
)

# The hand network's features for HAND_IMAGE, see `hand_network`.
POSITIVE = np.array([[4.0, 1, 0, 0], [2, 3, 0, 0], [0, 0, 1, 0], [0, 0, 0, 2]], np.float32)
NEGATIVE = np.array([[0.0, 0, 0, 0], [0, 0, 0, 1], [2, 0, 0, 0], [0, 0, 0, 0]], np.float32)


def methods_of(name: str) -> list[str]:
    exact = name in EXACT or name in ("resnet", "efficientnet")
    return [method for method in METHODS if method != "cam" or exact]


# By hand


def places(**values: float) -> np.ndarray:
    """4×4 zeros but for what is named `_row_column`."""
    heat = np.zeros((4, 4), np.float32)
    for name, value in values.items():
        heat[int(name[1]), int(name[3])] = value
    return heat


BY_HAND = {
    # Both channels' gradients have the mean w_k / 16, so the map is ReLU(2 A₀ + A₁) scaled by its maximum, 8.
    "grad-cam": ("grad-cam", 0, {}, (2 * POSITIVE + NEGATIVE) / 8),
    # Class 1: A₀ - 3 A₁ is negative where the image is.
    "grad-cam leaves out what speaks against the class": ("grad-cam", 1, {}, POSITIVE / 4),
    "a map without evidence is zero": ("grad-cam", 3, {}, places()),
    # The gradient is w_k / 4 at the winner of each 2×2 pooling and 0 elsewhere: only the winners remain.
    "layer-cam": ("layer-cam", 0, {}, places(_0_0=8, _1_3=1, _2_0=2, _3_3=4) / 8),
    # |∂ logit₀ / ∂x| is 2/4 at the winners of positive pixels, 1/4 at those of negative ones.
    "saliency": ("saliency", 0, {"percentile": 100}, places(_0_0=1, _1_3=0.5, _2_0=0.5, _3_3=1)),
    # Piecewise linear through 0, so x · ∂logit/∂x at the winners is exact for any number of steps.
    "integrated gradients": (
        *("integrated-gradients", 0, {"steps": 4, "percentile": 100}),
        places(_0_0=8, _1_3=1, _2_0=2, _3_3=4) / 8,
    ),
    "activations": ("activations", 0, {}, (POSITIVE + NEGATIVE) / 4),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_by_hand(case):
    method, target, options, expected = BY_HAND[case]
    np.testing.assert_allclose(explain(hand_network(), HAND_IMAGE, method, target, **options)[0], expected, atol=1e-5)
    assert explain(hand_network(), HAND_IMAGE[:0], method, target, **options).shape == (0, 4, 4)


def test_feature_maps_by_hand():
    np.testing.assert_allclose(feature_maps(hand_network(), HAND_IMAGE)[0], [POSITIVE, NEGATIVE], atol=1e-6)


def test_cam_by_hand():
    """On the pooled map, [[4, 0], [0, 2]] and [[0, 1], [2, 0]]: class 0 has [[8, 1], [2, 4]], stretched from 1 to 8."""
    heat = explain(hand_network(), HAND_IMAGE, "cam", 0)[0]
    coarse = np.array([[7.0, 0], [1, 3]]) / 7
    np.testing.assert_allclose(heat[[0, 0, 3, 3], [0, 3, 0, 3]], coarse.ravel(), atol=1e-6)
    # Between the centres of the two coarse cells, at pixels 0.5 and 2.5, bilinear: a quarter and three quarters.
    np.testing.assert_allclose(heat[0], [1, 0.75, 0.25, 0], atol=1e-6)


def test_cam_adds_up_to_the_logit():
    """Zhou 2016, equation 2: the mean of the unscaled map is the logit without its bias."""
    model, x = build("residual"), images()
    logits, features = model.classify(x)
    weights = model.classifier[-1].weight
    maps = torch.einsum("nkhw,ck->nchw", features.last_hidden_state, weights)
    torch.testing.assert_close(maps.mean((2, 3)), logits - model.classifier[-1].bias, atol=1e-5, rtol=1e-5)
    heat = explain(model, x, "cam", 2, relu=False)
    np.testing.assert_allclose(heat, scale_maps(maps[:, 2], (16, 16)), atol=1e-6)


def test_cam_folds_a_batch_norm_in():
    model, x = build("conv-linear"), images()
    with torch.no_grad():
        model.classifier[0].running_mean.fill_(0.3)
        model.classifier[0].running_var.copy_(torch.linspace(0.5, 2, 6))
    maps = model.gimefive(x).last_hidden_state.detach().requires_grad_()
    model.classifier(maps.mean((2, 3)))[:, 3].sum().backward()
    expected = (maps.detach() * maps.grad.mean((2, 3), keepdim=True)).sum(1).relu()
    np.testing.assert_allclose(explain(model, x, "cam", 3), scale_maps(expected, (16, 16)), atol=1e-5)


def test_grad_cam_plus_plus_by_hand():
    """Equation 19 of arXiv 1710.11063 with g = w_k / 4 at four places: weight 4 · g · g² / (2 g² + S_k g³)."""
    weights = []
    for weight, features in ((2.0, POSITIVE), (1.0, NEGATIVE)):
        g = weight / 4
        weights.append(4 * g * g**2 / (2 * g**2 + features.sum() * g**3 + 1e-6))
    expected = weights[0] * POSITIVE + weights[1] * NEGATIVE
    heat = explain(hand_network(), HAND_IMAGE, "grad-cam++", 0)[0]
    np.testing.assert_allclose(heat, expected / expected.max(), atol=1e-5)


def test_score_cam_by_hand():
    """Softmax over the logits of the image under each of the two masks weighs the features."""
    model = hand_network()
    scores = []
    for features in (POSITIVE, NEGATIVE):
        mask = torch.tensor(features / features.max())
        scores.append(model.classify(HAND_IMAGE * mask)[0][0, 0].item())
    weights = np.exp(scores) / np.exp(scores).sum()
    expected = weights[0] * POSITIVE + weights[1] * NEGATIVE
    heat = explain(model, HAND_IMAGE, "score-cam", 0)[0]
    np.testing.assert_allclose(heat, expected / expected.max(), atol=1e-5)


def test_occlusion_by_hand():
    """Each 2×2 quarter set to 0 in turn: the fall of the probability, 0 where it rises."""
    model = hand_network()

    def probability(x):
        return model.classify(x)[0].softmax(1)[0, 0].item()

    expected = np.zeros((4, 4))
    for row in (0, 2):
        for column in (0, 2):
            x = HAND_IMAGE.clone()
            x[..., row : row + 2, column : column + 2] = 0
            expected[row : row + 2, column : column + 2] = max(0, probability(HAND_IMAGE) - probability(x))
    assert expected.min() > 0.03
    heat = explain(model, HAND_IMAGE, "occlusion", 0, patch=2, stride=2)[0]
    np.testing.assert_allclose(heat, (expected - expected.min()) / np.ptp(expected), atol=1e-5)


def test_occlusion_averages_overlapping_patches():
    model, x = build("conv"), images(1)
    falls, cover = np.zeros((16, 16)), np.zeros((16, 16))
    whole = model.classify(x)[0].softmax(1)[0, 2].item()
    for row in range(0, 13, 2):
        for column in range(0, 13, 2):
            hidden = x.clone()
            hidden[..., row : row + 4, column : column + 4] = 0.5
            fall = whole - model.classify(hidden)[0].softmax(1)[0, 2].item()
            falls[row : row + 4, column : column + 4] += fall
            cover[row : row + 4, column : column + 4] += 1
    expected = np.maximum(falls / cover, 0)
    heat = explain(model, x, "occlusion", 2, patch=4, stride=2, fill=0.5)[0]
    np.testing.assert_allclose(heat, expected / expected.max(), atol=1e-3)


# Against the packages, and against what was stored


@pytest.mark.parametrize("name", [*CONFIGS, *TIMM_CONFIGS])
@pytest.mark.parametrize(
    ("method", "package"), [("grad-cam", "GradCAM"), ("grad-cam++", "GradCAMPlusPlus"), ("layer-cam", "LayerCAM")]
)
def test_equals_grad_cam_differentiated_through_the_whole_network(name, method, package):
    """Neither cutting the backward pass nor leaving it out where CAM is exact changes a map."""
    model = build(name)
    x = images(2, 64 if name in TIMM_CONFIGS else 16)
    whole = copy.deepcopy(model)
    whole.forward = lambda x: whole.classify(x)[0]
    reference = getattr(pytorch_grad_cam, package)(
        whole, [feature_layer(whole)], reshape_transform=lambda t: reshape_transform(whole, t)
    )
    expected = reference(x, [ClassifierOutputTarget(1), ClassifierOutputTarget(4)])
    assert expected.max() > 0.99
    np.testing.assert_allclose(explain(model, x, method, [1, 4]), expected, atol=2e-5)


def test_score_cam_equals_the_package():
    for name in ("conv", "residual"):
        network = SinglePass(build(name))
        reference = pytorch_grad_cam.ScoreCAM(network, [network.model.cam_layer])
        expected = reference(images(), [ClassifierOutputTarget(1), ClassifierOutputTarget(4)])
        np.testing.assert_allclose(explain(build(name), images(), "score-cam", [1, 4]), expected, atol=2e-5)


def test_grad_cam_is_cam_where_theory_says_so():
    for name in ("residual", "face-resnet"):
        model = build(name)
        np.testing.assert_array_equal(explain(model, images(), "grad-cam", 1), explain(model, images(), "cam", 1))


def test_exact_grad_cam_needs_no_package(monkeypatch):
    """grad-cam takes seconds to import; apps start without it."""
    for name in ("pytorch_grad_cam", "captum", "captum.attr", "matplotlib"):
        monkeypatch.setitem(sys.modules, name, None)
    assert explain(build("face-resnet"), images(), "grad-cam", 1).max() == pytest.approx(1)


def test_stored_maps():
    stored = np.load(GOLDEN, allow_pickle=False)
    maps = golden_maps()
    assert set(stored.files) == set(maps)
    for name, heat in maps.items():
        np.testing.assert_allclose(heat, stored[name], atol=1e-3, err_msg=name)


# A network that looks at one corner only


@pytest.mark.parametrize("method", list(METHODS))
def test_planted_corner_is_found(method):
    torch.manual_seed(0)
    x = torch.rand(3, 1, 16, 16) + 0.5
    heat = explain(corner_network(), x, method, 0)
    hottest = heat.reshape(3, -1).argmax(1)
    assert (hottest // 16 < 4).all()
    assert (hottest % 16 < 4).all()
    # CAM's map has 2×2 cells, whose enlargement reaches beyond its quarter of the image: (7/8)² of it stay inside.
    assert (heat[:, :8, :8].sum((1, 2)) >= 0.76 * heat.sum((1, 2))).all()


def test_planted_corner_speaks_against_the_other_class():
    x = torch.rand(2, 1, 16, 16) + 0.5
    for method in ("cam", "grad-cam", "grad-cam++", "layer-cam", "occlusion", "integrated-gradients"):
        assert explain(corner_network(), x, method, 1).max() == 0, method


# For any method and network


@pytest.mark.parametrize("name", [*CONFIGS, *TIMM_CONFIGS])
def test_shape_range_and_batches(name):
    model = build(name)
    x = images(2, 64 if name in TIMM_CONFIGS else 16)
    for method in methods_of(name):
        heat = explain(model, x, method, [0, 3])
        assert heat.shape == (2, *x.shape[2:])
        assert heat.dtype == np.float32
        assert heat.min() == 0
        assert heat.max() == pytest.approx(1, abs=1e-5)
        alone = np.concatenate([explain(model, x[i : i + 1], method, [0, 3][i]) for i in range(2)])
        # Rounding differs with the batch: where a network is sure, occlusion is a difference of probabilities that are
        # all but 1, and a unit at the kink of its ReLU changes the gradient at a few pixels.
        assert (np.abs(heat - alone) > 0.02).mean() < 0.05, method


@pytest.mark.parametrize("name", ["conv", "flatten", "vit"])
def test_cam_says_why_it_is_not_exact(name):
    x = images(1, 64 if name == "vit" else 16)
    reason = {"conv": "hidden layers", "flatten": "pooling='flatten'", "vit": "test_vit"}[name]
    with pytest.raises(ValueError, match=reason):
        explain(build(name), x, "cam", 0)


def test_class_token_transformers_are_read_before_the_last_attention():
    """After it only the class token counts, and every patch would have gradient 0."""
    torch.manual_seed(0)
    arguments = {"img_size": 32, "patch_size": 8, "global_pool": "token", "reg_tokens": 2, "class_token": True}
    config = GiMeFiveConfig(architecture="timm", timm_model="test_vit", timm_kwargs=arguments, classifier_widths=[])
    model = GiMeFiveForImageClassification(config).eval()
    assert feature_maps(model, images(2, 32)).shape == (2, 64, 4, 4)
    heat = explain(model, images(2, 32), "layer-cam", 0)
    assert heat.max() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", ["conv", "face-resnet"])
def test_model_is_left_as_it_was(name):
    model = build(name).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for method in methods_of(name):
        explain(model, images(), method)
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks or m._backward_hooks for m in model.modules())


@pytest.mark.parametrize("method", [method for method in METHODS if method != "cam"])
def test_works_in_inference_mode(method):
    model = build("conv")
    expected = explain(model, images(), method, 1)
    with torch.inference_mode():
        x = images() * 1.0
        assert x.is_inference()
        np.testing.assert_allclose(explain(model, x, method, 1), expected, atol=1e-6)


def test_threads_do_not_see_each_other():
    """Apps explain the same model for several people at once."""
    model = build("conv")
    inputs = [images(1 + i % 3) * (1 + i / 4) for i in range(8)]
    expected = [explain(model, x, "layer-cam", 1) for x in inputs]
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda i: explain(model, inputs[i % 8], "layer-cam", 1), range(40))
        for i, heat in enumerate(found):
            np.testing.assert_allclose(heat, expected[i % 8], atol=1e-5)


def test_only_the_head_is_differentiated():
    """One forward pass, and no gradient before the last feature map: what keeps Grad-CAM cheap."""
    seen = []
    original = SinglePass.forward

    def counted(self, x):
        seen.append(len(x))
        logits = original(self, x)
        stem = self.model.gimefive.stages[0](x)
        assert not stem.requires_grad
        assert logits.requires_grad
        return logits

    SinglePass.forward = counted
    try:
        explain(build("conv"), images(), "grad-cam", 0)
    finally:
        SinglePass.forward = original
    assert seen == [2]


def test_flip_average_explains_the_image_as_it_stands():
    model = build("face-resnet")
    assert model.config.flip_average
    plain = copy.deepcopy(model)
    plain.config.flip_average = False
    for method in methods_of("face-resnet"):
        np.testing.assert_array_equal(explain(model, images(), method, 2), explain(plain, images(), method, 2))


def test_targets():
    model, x = build("conv"), images(3)
    happy, fear = model.config.label2id["happiness"], model.config.label2id["fear"]
    expected = explain(model, x, "grad-cam", [happy, fear, happy])
    for targets in (["happiness", "fear", "happiness"], np.array([happy, fear, happy]), torch.tensor([0, 5, 0])):
        np.testing.assert_array_equal(explain(model, x, "grad-cam", targets), expected)
    one = explain(model, x, "grad-cam", "fear")
    np.testing.assert_array_equal(one[1], expected[1])
    np.testing.assert_array_equal(explain(model, x, "grad-cam", np.int64(5)), one)
    winners = model(x).logits.argmax(1).tolist()
    np.testing.assert_array_equal(explain(model, x, "grad-cam"), explain(model, x, "grad-cam", winners))


def test_classes_side_by_side():
    model, x = build("residual"), images()
    heat = explain_classes(model, x, "layer-cam")
    assert heat.shape == (2, 6, 16, 16)
    np.testing.assert_array_equal(heat[:, 4], explain(model, x, "layer-cam", 4))
    some = explain_classes(model, x, "layer-cam", ["fear", 0])
    np.testing.assert_array_equal(some, heat[:, [5, 0]])


def test_maps_from_a_pass_that_was_made_anyway():
    model, x = build("face-resnet"), images()
    with torch.inference_mode():
        _, features = model.classify(x)
        heat = cam_from_features(model, features, [1, 4], (16, 16))
    np.testing.assert_array_equal(heat, explain(model, x, "grad-cam", [1, 4]))


def test_another_layer():
    model, x = build("residual"), images()
    assert feature_maps(model, x, "stages.0").shape == (2, 4, 16, 16)
    assert feature_maps(model, x, "stages.1.conv1").shape == (2, 6, 8, 8)
    fine, coarse = explain(model, x, "layer-cam", 1, layer="stages.0"), explain(model, x, "layer-cam", 1)
    assert np.abs(fine - coarse).max() > 0.1
    with pytest.raises(ValueError, match=r"no layer 'stages.9'.*stages.0"):
        explain(model, x, "layer-cam", 1, layer="stages.9")
    with pytest.raises(ValueError, match="expected a feature map"):
        feature_maps(model, x, "stages.0.se.squeeze")


def test_aug_smooth_changes_the_map_and_is_off():
    model, x = build("residual"), images()
    plain = explain(model, x, "grad-cam", 1)
    smooth = explain(model, x, "grad-cam", 1, aug_smooth=True)
    assert smooth.min() == 0
    assert smooth.max() == pytest.approx(1, abs=1e-5)
    assert np.abs(smooth - plain).max() > 0.01
    np.testing.assert_array_equal(explain(model, x, "grad-cam", 1, aug_smooth=False), plain)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "gradcam"}, "method must be one of cam, grad-cam"),
        ({"targets": 6}, "from 0 to 5; got 6"),
        ({"targets": -1}, "from 0 to 5; got -1"),
        ({"targets": "joy"}, "knows the classes happiness.*'joy'"),
        ({"targets": [0, 1, 2]}, "one class for all images or 2"),
        ({"pixel_values": torch.zeros(2, 1, 16, 16)}, r"\(n, 3, height, width\); got torch.float32 \(2, 1, 16, 16\)"),
        ({"pixel_values": torch.zeros(3, 16, 16)}, "expected a float tensor"),
        ({"pixel_values": torch.zeros(1, 3, 16, 16, dtype=torch.uint8)}, "torch.uint8"),
        ({"method": "occlusion", "patch": 17}, "expected 1 <= stride <= patch <= 16"),
        ({"method": "occlusion", "patch": 4, "stride": 5}, "every pixel is covered; got patch=4, stride=5"),
        ({"method": "saliency", "percentile": 0}, "percentile must be in"),
    ],
)
def test_mistakes_are_named(change, message):
    arguments = {"pixel_values": images(), "method": "grad-cam", "targets": 0} | change
    with pytest.raises(ValueError, match=message):
        explain(build("conv"), **arguments)


def test_unknown_option_is_an_error():
    with pytest.raises(TypeError, match="patchsize"):
        explain(build("conv"), images(), "occlusion", 0, patchsize=3)


@pytest.mark.parametrize(("method", "module"), [("layer-cam", "pytorch_grad_cam"), ("occlusion", "captum.attr")])
def test_missing_package_is_named(monkeypatch, method, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match="pip install"):
        explain(build("conv"), images(), method, 0)


@pytest.mark.parametrize(("highest", "said"), [(0.0, 1), (0.01, 0)])
def test_an_empty_map_says_that_nothing_speaks_for_the_class(highest, said):
    from matplotlib.figure import Figure

    from gimefive_hf.drawing.explanations import say_if_empty

    axes = Figure().subplots()
    heat = np.zeros((4, 4), np.float32)
    heat[1, 1] = highest
    say_if_empty(axes, heat)
    assert [text.get_text() for text in axes.texts] == ["nothing speaks for it"] * said
