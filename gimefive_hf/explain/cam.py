"""
Class activation maps (Zhou et al. 2016, arXiv 1512.04150), exact for networks that average and classify linearly.

There, logit_c = b_c + mean over places of Σ_k w_ck A_k, so the map M_c = Σ_k w_ck A_k says exactly what each place
adds to the logit. Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391, equations 1 and 2) weighs channel k with the
mean of ∂logit_c / ∂A_k, which is w_ck / (h·w) here: its map is ReLU(M_c) up to scale, and needs no backward pass.
"""

import numpy as np
import torch
from torch import Tensor, nn

from ..modeling_gimefive import GiMeFiveForImageClassification
from .layers import reshape_transform, scale_maps


def cam_obstacle(model: GiMeFiveForImageClassification, features) -> str | None:
    """
    Why CAM would not be exact for this network, or None if it is.

    Args:
        features: the feature extractor's output, as `model.classify(pixel_values)[1]`. Whether the classifier receives
            the average of the feature map is measured on them, because timm's pooling has many forms.
    """
    if not all(isinstance(layer, (nn.BatchNorm1d, nn.Dropout)) for layer in list(model.classifier)[:-1]):
        return (
            "CAM needs a classifier of one linear layer after the average pooling; this one has hidden layers "
            f"(classifier_widths={model.config.classifier_widths}). Use grad-cam, which equals CAM where CAM is exact"
        )
    pooled, last = features.pooler_output, features.last_hidden_state
    if last.ndim == 4:
        maps = reshape_transform(model, last)
        means = maps.mean(dim=(2, 3))
        if means.shape == pooled.shape and torch.allclose(means, pooled, rtol=1e-3, atol=1e-4 * pooled.abs().max()):
            return None
    return (
        "CAM needs a classifier that receives the average of the last feature map; this network "
        f"({model.config.timm_model or model.config.architecture}, pooling={model.config.pooling!r}) pools in another "
        "way. Use grad-cam"
    )


def linear_weights(model: GiMeFiveForImageClassification) -> Tensor:
    """Weights (labels, features) of a classifier of one linear layer, with a batch norm before it folded in."""
    weights = model.classifier[-1].weight.detach()
    for layer in list(model.classifier)[:-1]:
        if isinstance(layer, nn.BatchNorm1d):
            weights = weights * (layer.weight.detach() / (layer.running_var + layer.eps).sqrt())
    return weights


def cam_from_features(
    model: GiMeFiveForImageClassification, features, targets: list[int], size: tuple[int, int], relu: bool = True
) -> np.ndarray:
    """
    Maps from a pass that was made anyway, for videos: `logits, features = model.classify(pixel_values)`.

    Args:
        features: the second result of `model.classify`.
        targets: one class index per image.
        size: (H, W) of the maps, those of `pixel_values`.
        relu: leave out what speaks against the class, as Grad-CAM does. The map is then Grad-CAM's for all
            architectures but "conv", where Grad-CAM reads the features before the last max-pooling.

    Returns:
        float32 (n, H, W) in [0, 1].

    Raises:
        ValueError: if the network does not average and classify linearly.
    """
    obstacle = cam_obstacle(model, features)
    if obstacle:
        raise ValueError(obstacle)
    maps = reshape_transform(model, features.last_hidden_state).detach()
    maps = torch.einsum("nchw,nc->nhw", maps, linear_weights(model)[targets].to(maps.dtype))
    return scale_maps(maps.relu() if relu else maps, size)


def cam(
    model: GiMeFiveForImageClassification, pixel_values: Tensor, targets: list[int], relu: bool = True
) -> np.ndarray:
    """`cam_from_features` of a pass of its own; raises as that does."""
    return cam_from_features(model, single_pass_features(model, pixel_values), targets, pixel_values.shape[-2:], relu)


@torch.no_grad()
def single_pass_features(model: GiMeFiveForImageClassification, pixel_values: Tensor):
    """The feature extractor's output in eval mode; the model's mode is kept."""
    training = model.training
    model.eval()
    try:
        return model.gimefive(pixel_values, return_dict=True)
    finally:
        model.train(training)
