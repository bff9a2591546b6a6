"""Occlusion sensitivity (Zeiler and Fergus 2014, arXiv 1311.2901): what a patch over each place costs, by captum."""

import numpy as np
import torch
from torch import Tensor

from ..modeling_gimefive import GiMeFiveForImageClassification
from .gradients import import_captum
from .layers import SinglePass, scale_maps


def occlusion(
    model: GiMeFiveForImageClassification,
    pixel_values: Tensor,
    targets: list[int],
    patch: int | None = None,
    stride: int | None = None,
    fill: float = 0.0,
    batch_size: int = 64,
) -> np.ndarray:
    """
    Mean fall of the class's probability over the patches that cover a place; where it rises, 0.

    Args:
        patch: side of the square patch in pixels; None for a quarter of the image's side.
        stride: pixels between neighbouring patches; None for half a patch.
        fill: what the patch shows, in units of `pixel_values`; 0 is the mean of the image processor.
        batch_size: occluded copies that go through the network at once.
    """
    attribution = import_captum("Occlusion")
    height, width = pixel_values.shape[-2:]
    patch = max(1, min(height, width) // 4) if patch is None else patch
    stride = max(1, patch // 2) if stride is None else stride
    if not 1 <= patch <= min(height, width) or not 1 <= stride <= patch:
        raise ValueError(
            f"expected 1 <= stride <= patch <= {min(height, width)}, the side of the image, so that every pixel is "
            f"covered; got patch={patch}, stride={stride}"
        )
    network = SinglePass(model)
    channels = pixel_values.shape[1]
    with torch.no_grad():
        falls = attribution(lambda x: network(x).softmax(dim=1)).attribute(
            pixel_values,
            sliding_window_shapes=(channels, patch, patch),
            strides=(channels, stride, stride),
            baselines=fill,
            target=torch.tensor(targets, device=pixel_values.device),
            perturbations_per_eval=max(1, batch_size // len(pixel_values)),
        )  # (n, c, H, W), the same in each channel
    return scale_maps(falls[:, 0].relu())
