"""
Networks and images whose heat maps are known, for the tests of the explanations.

    python -m tests.cases.explain_cases       # writes tests/golden/explanations.npz anew, after a deliberate change
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gimefive_hf.configuration_gimefive import GiMeFiveConfig
from gimefive_hf.explain import METHODS, explain
from gimefive_hf.modeling_gimefive import GiMeFiveForImageClassification

GOLDEN = Path(__file__).parents[1] / "golden" / "explanations.npz"

CONFIGS = {
    "conv": {"widths": [4, 6], "classifier_widths": [5]},
    "conv-linear": {"widths": [4, 6], "classifier_widths": [], "classifier_batch_norm": True},
    "flatten": {"widths": [4, 6], "classifier_widths": [], "pooling": "flatten"},
    "residual": {"architecture": "residual", "widths": [4, 6, 8], "se_stages": [0, 2], "classifier_widths": []},
    "face-resnet": {"architecture": "face-resnet", "widths": [4, 6], "classifier_widths": [], "flip_average": True},
}
TIMM_CONFIGS = {
    "vit": {"timm_model": "test_vit", "timm_kwargs": {"img_size": 64, "patch_size": 16}},
    "resnet": {"timm_model": "test_resnet"},
    "efficientnet": {"timm_model": "test_efficientnet"},
}
# Networks for which CAM is exact.
EXACT = ("conv-linear", "residual", "face-resnet")


def build(name: str) -> GiMeFiveForImageClassification:
    """One of `CONFIGS` or `TIMM_CONFIGS`; its weights follow a formula, so that no generator's version counts."""
    size = 64 if name in TIMM_CONFIGS else 16
    values = CONFIGS.get(name) or {"architecture": "timm", "classifier_widths": [], **TIMM_CONFIGS[name]}
    model = GiMeFiveForImageClassification(GiMeFiveConfig(image_size=size, **values)).eval()
    with torch.no_grad():
        for index, parameter in enumerate(model.parameters()):
            wave = torch.sin(0.7 * torch.arange(parameter.numel(), dtype=torch.float32) ** 1.3 + index)
            if parameter.ndim > 1:
                parameter.copy_(wave.reshape(parameter.shape) * (2 / parameter[0].numel()) ** 0.5)
            else:
                parameter.copy_(0.3 * wave.abs() + 0.5)
    return model


def images(count: int = 2, size: int = 16, channels: int = 3) -> Tensor:
    """Smooth waves of different frequency, float32 (count, channels, size, size) in [-1, 1]."""
    y, x = np.mgrid[0:size, 0:size] / size
    waves = [
        np.sin(2 * np.pi * ((i + 1) * x + (c + 1) * y * (1 + i / 2)) + c) for i in range(count) for c in range(channels)
    ]
    return torch.tensor(np.array(waves), dtype=torch.float32).reshape(count, channels, size, size)


def hand_network() -> GiMeFiveForImageClassification:
    """
    One grey channel x → features A₀ = ReLU(x), A₁ = ReLU(-x) → 2×2 max-pool → mean → class c: w_c0 a₀ + w_c1 a₁.

    Weights: class 0 (2, 1), class 1 (1, -3), the others (0, 0).
    """
    config = GiMeFiveConfig(num_channels=1, image_size=4, widths=[2], batch_norm=False, classifier_widths=[])
    model = GiMeFiveForImageClassification(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        conv = model.gimefive.stages[0].convs[0]
        conv.weight[0, 0, 1, 1] = 1
        conv.weight[1, 0, 1, 1] = -1
        model.classifier[-1].weight[0] = torch.tensor([2.0, 1.0])
        model.classifier[-1].weight[1] = torch.tensor([1.0, -3.0])
    return model


HAND_IMAGE = torch.tensor([[4.0, 1, 0, 0], [2, 3, 0, -1], [-2, 0, 1, 0], [0, 0, 0, 2]])[None, None]


def corner_network() -> GiMeFiveForImageClassification:
    """
    A network for 16×16 grey images that looks at nothing but the 4×4 pixels in the upper left corner.

    It tells the corner by the zeros around the image: block 1 passes the image on and adds a channel of ones; block 2
    marks the place which has no one above and none to the left; block 3 lets the image through only there. Class 0
    rises with the brightness there, class 1 falls.
    """
    config = GiMeFiveConfig(num_channels=1, image_size=16, widths=[2, 2, 1], batch_norm=False, classifier_widths=[])
    model = GiMeFiveForImageClassification(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        one, two, three = (stage.convs[0] for stage in model.gimefive.stages)
        one.weight[0, 0, 1, 1] = 1
        one.bias[1] = 1
        two.weight[0, 0, 1, 1] = 1
        two.weight[1, 1, 0, 1] = two.weight[1, 1, 1, 0] = -1
        two.bias[1] = 1
        three.weight[0, 0, 1, 1] = 1
        three.weight[0, 1, 1, 1] = 10
        three.bias[0] = -10
        model.classifier[-1].weight[0] = 8
        model.classifier[-1].weight[1] = -8
    return model


def golden_maps() -> dict[str, np.ndarray]:
    """Maps of all methods that suit, of classes 1 and 4, for `images()`."""
    maps = {}
    for name in CONFIGS:
        for method in METHODS:
            if method != "cam" or name in EXACT:
                maps[f"{name}/{method}"] = explain(build(name), images(), method, [1, 4])
    return maps


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    np.savez_compressed(GOLDEN, **golden_maps())
    print(f"{GOLDEN.name}: {GOLDEN.stat().st_size} bytes")
