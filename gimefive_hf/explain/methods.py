"""
Heat maps of what a model looks at: one call for every method.

    heat = explain(model, pixel_values, method="grad-cam", targets="happiness")   # float32 (n, H, W) in [0, 1]

`METHODS` lists the methods. grad-cam and captum are imported by the methods that need them, when they are first used.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from ..modeling_gimefive import GiMeFiveForImageClassification
from . import METHODS

Targets: TypeAlias = int | str | Sequence[int | str] | Tensor | np.ndarray | None


def explain(
    model: GiMeFiveForImageClassification,
    pixel_values: Tensor,
    method: str = "grad-cam",
    targets: Targets = None,
    **options,
) -> np.ndarray:
    """
    How much each place of each image speaks for a class.

    The model and its gradients are left as they are. What is explained is the score of the image as it stands: with
    `config.flip_average` or `config.zoom_average` the model also looks at mirrored and zoomed images, whose maps would
    have to be brought back and mixed in, so that no place of the map could be traced to one pass any more; these passes
    are left out.

    Args:
        pixel_values: float (n, c, H, W), as the image processor gives them.
        method: one of `METHODS`.
        targets: class of each map, as an index or a name of `config.id2label`: one for all images or one per image;
            None explains the class that the model reports for the image.
        options: of the method, see its function; an unknown one is a TypeError.

    Returns:
        float32 (n, H, W). Each map is scaled by itself, from 0 to 1; a map that is the same everywhere, such as one
        without any evidence for the class, is 0 everywhere. "activations" does not depend on the class.

    Raises:
        ValueError: for an unknown method or class, for pixel values of a wrong shape, or if the method does not suit
            the network, with the reason.
        ImportError: if the method needs grad-cam or captum and it is missing.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    check_pixel_values(model, pixel_values)
    chosen = resolve_targets(model, pixel_values, targets)
    if not len(pixel_values):
        return np.zeros((0, *pixel_values.shape[-2:]), np.float32)
    module, function = METHODS[method]
    run = getattr(import_module(f".{module}", __package__), function)
    # A caller may be in inference mode, where nothing can be differentiated; tensors made there must be copied.
    with torch.inference_mode(False):
        pixel_values = pixel_values.detach().to(model.device, model.dtype)
        if pixel_values.is_inference():
            pixel_values = pixel_values.clone()
        heat = run(model, pixel_values, chosen, **options)
    assert heat.dtype == np.float32 and heat.shape == (len(pixel_values), *pixel_values.shape[-2:]), heat.shape
    return heat


def explain_classes(
    model: GiMeFiveForImageClassification,
    pixel_values: Tensor,
    method: str = "grad-cam",
    classes: Sequence[int | str] | None = None,
    **options,
) -> np.ndarray:
    """
    Heat maps of several classes of the same images, side by side.

    Args:
        classes: indices or names; None for all classes in the model's order.

    Returns:
        float32 (n, len(classes), H, W) in [0, 1], each map scaled by itself.
    """
    classes = range(model.config.num_labels) if classes is None else [class_index(model, c) for c in classes]
    maps = [explain(model, pixel_values, method, target, **options) for target in classes]
    return np.stack(maps, axis=1)


def check_pixel_values(model: GiMeFiveForImageClassification, pixel_values: Tensor) -> None:
    """Raises ValueError unless `pixel_values` is a float tensor (n, c, H, W) with the model's number of channels."""
    channels = model.config.num_channels
    good = isinstance(pixel_values, Tensor) and pixel_values.is_floating_point() and pixel_values.ndim == 4
    if not good or pixel_values.shape[1] != channels:
        got = f"{pixel_values.dtype} {tuple(pixel_values.shape)}" if isinstance(pixel_values, Tensor) else pixel_values
        raise ValueError(f"expected a float tensor pixel_values of shape (n, {channels}, height, width); got {got}")


def class_index(model: GiMeFiveForImageClassification, target: int | str | np.integer) -> int:
    """Index of a class given by index or name. Raises ValueError for a class that the model does not have."""
    names = [model.config.id2label[index] for index in range(model.config.num_labels)]
    if isinstance(target, str):
        if target not in names:
            raise ValueError(f"the model knows the classes {', '.join(names)}; got {target!r}")
        return names.index(target)
    if not 0 <= int(target) < len(names):
        raise ValueError(f"a class index must be from 0 to {len(names) - 1}; got {target}")
    return int(target)


def resolve_targets(model: GiMeFiveForImageClassification, pixel_values: Tensor, targets: Targets) -> list[int]:
    """One class index per image; see `explain`."""
    count = len(pixel_values)
    if targets is None:
        return reported_classes(model, pixel_values) if count else []
    if isinstance(targets, (Tensor, np.ndarray)):
        targets = targets.tolist()
    if isinstance(targets, (int, str, np.integer)):
        return [class_index(model, targets)] * count
    if len(targets) != count:
        raise ValueError(f"expected one class for all images or {count}, one per image; got {len(targets)}")
    return [class_index(model, target) for target in targets]


@torch.no_grad()
def reported_classes(model: GiMeFiveForImageClassification, pixel_values: Tensor) -> list[int]:
    """The winners of the model's own scores in eval mode, the average with the mirror image if it is so configured."""
    training = model.training
    model.eval()
    try:
        return model(pixel_values.to(model.device, model.dtype), return_dict=True).logits.argmax(1).tolist()
    finally:
        model.train(training)
