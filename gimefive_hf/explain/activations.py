"""Feature maps of any layer: what the network sees, whatever the class."""

import numpy as np
import torch
from torch import Tensor, nn

from ..modeling_gimefive import GiMeFiveForImageClassification
from .layers import SinglePass, feature_layer, reshape_transform, scale_maps


def named_layer(model: GiMeFiveForImageClassification, layer: str) -> nn.Module:
    """The module of that name. Raises ValueError, with the names of the stages, if there is none."""
    modules = dict(model.gimefive.named_modules())
    if not layer or layer not in modules:
        coarse = [name for name in modules if name and name.count(".") <= 1]
        raise ValueError(f"the network has no layer {layer!r}; it has, among others, {', '.join(coarse)}")
    return modules[layer]


def feature_maps(model: GiMeFiveForImageClassification, pixel_values: Tensor, layer: str | None = None) -> np.ndarray:
    """
    Output of a layer.

    Args:
        pixel_values: float (n, c, H, W).
        layer: name of a layer, such as "stages.0" or "stages.2.convs.0"; None for the last feature map.

    Returns:
        float32 (n, channels, h, w), as the layer gave them.

    Raises:
        ValueError: if there is no such layer, or if its output is no feature map.
    """
    network = SinglePass(model)
    place = feature_layer(network.model) if layer is None else named_layer(network.model, layer)
    seen: list[Tensor] = []
    place.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.no_grad():
        network(pixel_values.to(model.device, model.dtype))
    if not seen or not isinstance(seen[0], Tensor) or seen[0].ndim not in (3, 4):
        got = "nothing" if not seen else getattr(seen[0], "shape", type(seen[0]).__name__)
        raise ValueError(f"expected a feature map from layer {layer!r}; got {got}")
    return reshape_transform(network.model, seen[0]).float().cpu().numpy()


def mean_activation(
    model: GiMeFiveForImageClassification, pixel_values: Tensor, targets: list[int], layer: str | None = None
) -> np.ndarray:
    """
    Mean over the channels of the absolute activation, float32 (n, H, W) in [0, 1]; the same for every class.

    Args:
        layer: name of a layer, such as "stages.0" or "stages.2.convs.0"; None for the last feature map.
    """
    maps = torch.from_numpy(feature_maps(model, pixel_values, layer)).abs().mean(dim=1)
    return scale_maps(maps, pixel_values.shape[-2:])
