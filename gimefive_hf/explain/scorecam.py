"""Score-CAM (Wang et al. 2020, arXiv 1910.01279): channels weighted by the score that their masks let through."""

import numpy as np
import torch
from torch import Tensor

from ..modeling_gimefive import GiMeFiveForImageClassification
from .activations import feature_maps
from .layers import SinglePass, scale_maps


@torch.no_grad()
def score_cam(
    model: GiMeFiveForImageClassification, pixel_values: Tensor, targets: list[int], batch_size: int = 64
) -> np.ndarray:
    """
    One pass for each channel that is active anywhere in the last feature map, without gradients.

    Our own code, because grad-cam's (the same map, see the tests) prints a progress bar for every image and holds all
    masked copies of all images at once: 1024 channels of 64×64 take 50 MB an image.

    Args:
        batch_size: masked copies that go through the network at once.
    """
    network = SinglePass(model)
    maps = torch.from_numpy(feature_maps(model, pixel_values)).to(pixel_values)  # (n, k, h, w)
    weights = torch.stack(
        [
            channel_weights(network, image, image_maps, target, batch_size)
            for image, image_maps, target in zip(pixel_values, maps, targets, strict=True)
        ]
    )  # (n, k)
    return scale_maps(torch.einsum("nkhw,nk->nhw", maps, weights).relu(), pixel_values.shape[-2:])


def channel_weights(network: SinglePass, image: Tensor, maps: Tensor, target: int, batch_size: int) -> Tensor:
    """
    Softmax over the channels (k,) of the logit of `target` for `image` (c, H, W) under each of `maps` (k, h, w).

    A channel that is 0 everywhere adds nothing to the map, whatever its weight: it gets none, which saves its pass and
    changes the map only by a factor.
    """
    scores = []
    active = (maps != 0).flatten(1).any(dim=1)
    weights = torch.zeros(len(maps), dtype=image.dtype, device=image.device)
    if not active.any():
        return weights
    for part in maps[active].split(batch_size):
        masks = torch.nn.functional.interpolate(
            part[:, None], size=image.shape[-2:], mode="bilinear", align_corners=True
        )  # (b, 1, H, W)
        low, high = masks.amin(dim=(2, 3), keepdim=True), masks.amax(dim=(2, 3), keepdim=True)
        masks = (masks - low) / (high - low + 1e-8)
        scores.append(network(image * masks)[:, target])
    weights[active] = torch.cat(scores).to(weights.dtype).softmax(dim=0)
    return weights
