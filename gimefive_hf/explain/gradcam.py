"""Grad-CAM (arXiv 1610.02391), Grad-CAM++ (1710.11063) and Layer-CAM (Jiang et al. 2021), by the grad-cam package."""

from functools import partial
from importlib import import_module

import numpy as np
import torch
from torch import Tensor

from ..modeling_gimefive import GiMeFiveForImageClassification
from .activations import named_layer
from .cam import cam_from_features, cam_obstacle, single_pass_features
from .layers import SinglePass, feature_layer, reshape_transform, scale_maps


def grad_cam(
    model: GiMeFiveForImageClassification,
    pixel_values: Tensor,
    targets: list[int],
    aug_smooth: bool = False,
    eigen_smooth: bool = False,
) -> np.ndarray:
    """
    Grad-CAM; without a backward pass and without importing grad-cam where theory gives the same map (`explain.cam`).
    Options as of `run_package`.
    """
    # In "conv" networks Grad-CAM reads the finer map before the last pooling, CAM the one after it.
    if model.config.architecture != "conv" and not aug_smooth and not eigen_smooth:
        features = single_pass_features(model, pixel_values)
        if cam_obstacle(model, features) is None:
            return cam_from_features(model, features, targets, pixel_values.shape[-2:])
    return run_package("GradCAM", model, pixel_values, targets, aug_smooth, eigen_smooth)


def run_package(
    name: str,
    model: GiMeFiveForImageClassification,
    pixel_values: Tensor,
    targets: list[int],
    aug_smooth: bool = False,
    eigen_smooth: bool = False,
    layer: str | None = None,
) -> np.ndarray:
    """
    Maps float32 (n, H, W) of the class `name` of grad-cam.

    Args:
        aug_smooth: average the maps of six variants of the image (mirrored, darker, brighter); six times the cost.
        eigen_smooth: first principal component of the weighted features instead of their sum.
        layer: name of another layer, such as "stages.2", for the finer maps that Layer-CAM is for.

    Raises:
        ImportError: without grad-cam.
    """
    try:
        package = import_module("pytorch_grad_cam")
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    except ImportError as error:
        raise ImportError(f"{name} needs the package grad-cam: pip install grad-cam") from error
    network = SinglePass(model)
    place = feature_layer(network.model) if layer is None else named_layer(network.model, layer)
    network.cut_at(place)
    method = getattr(package, name)(network, [place], reshape_transform=lambda t: reshape_transform(network.model, t))
    with torch.enable_grad():
        heat = method(pixel_values, [ClassifierOutputTarget(t) for t in targets], aug_smooth, eigen_smooth)
    method.activations_and_grads.release()
    return scale_maps(torch.from_numpy(heat))


grad_cam_plus_plus = partial(run_package, "GradCAMPlusPlus")
layer_cam = partial(run_package, "LayerCAM")
