"""Gradients at the pixels: saliency (Simonyan 2014) and integrated gradients (Sundararajan 2017), by captum."""

import numpy as np
import torch
from torch import Tensor

from ..modeling_gimefive import GiMeFiveForImageClassification
from .layers import SinglePass, scale_maps


def saliency(
    model: GiMeFiveForImageClassification, pixel_values: Tensor, targets: list[int], percentile: float = 99.0
) -> np.ndarray:
    """
    Largest absolute gradient of the logit over the colour channels (arXiv 1312.6034, section 3.1).

    Args:
        percentile: values above this percentile of a map count as its maximum, because single pixels would otherwise
            leave the rest black; 100 for none.
    """
    attribution = import_captum("Saliency")
    with torch.enable_grad():
        gradients = attribution(SinglePass(model)).attribute(
            pixel_values.clone().requires_grad_(), target=targets_of(pixel_values, targets), abs=True
        )
    return scale_maps(clip(gradients.amax(dim=1), percentile))


def integrated_gradients(
    model: GiMeFiveForImageClassification,
    pixel_values: Tensor,
    targets: list[int],
    steps: int = 16,
    baseline: float = 0.0,
    percentile: float = 99.0,
    batch_size: int = 64,
) -> np.ndarray:
    """
    What each pixel adds to the logit on the way from a flat image (arXiv 1703.01365, equation 1); what it takes is 0.

    Args:
        steps: points of the integral, by the Gauss-Legendre rule.
        baseline: value of the flat image, in units of `pixel_values`; 0 is the mean of the image processor.
        percentile: as in `saliency`.
        batch_size: images that go through the network at once.
    """
    attribution = import_captum("IntegratedGradients")
    with torch.enable_grad():
        parts = attribution(SinglePass(model)).attribute(
            pixel_values.clone().requires_grad_(),
            baselines=baseline,
            target=targets_of(pixel_values, targets),
            n_steps=steps,
            internal_batch_size=max(batch_size, len(pixel_values)),
        )  # (n, c, H, W)
    return scale_maps(clip(parts.detach().sum(dim=1).relu(), percentile))


def import_captum(name: str):
    """A class of captum.attr. Raises ImportError without captum."""
    try:
        import captum.attr
    except ImportError as error:
        raise ImportError(f"{name} needs the package captum: pip install captum") from error
    return getattr(captum.attr, name)


def targets_of(pixel_values: Tensor, targets: list[int]) -> Tensor:
    return torch.tensor(targets, device=pixel_values.device)


def clip(maps: Tensor, percentile: float) -> Tensor:
    """
    Limit each map (n, h, w) to its percentile, if that is above its minimum: a map of a few points is kept.

    Raises:
        ValueError: unless the percentile is in (0, 100].
    """
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile must be in (0, 100]; got {percentile}")
    flat = maps.detach().float().flatten(1)
    limit = torch.quantile(flat, percentile / 100, dim=1)
    limit = torch.where(limit > flat.amin(dim=1), limit, flat.amax(dim=1))
    return torch.minimum(maps.detach().float(), limit[:, None, None])
