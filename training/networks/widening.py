"""
A start from the weights of a narrower network (Net2WiderNet, Chen, Goodfellow and Shlens 2016).

Every channel is copied `factor` times and what reads it is divided by `factor`, so the wide network computes what the
narrow one does. Noise then makes the copies differ, or they would get equal gradients for ever.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from gimefive_hf.modeling_gimefive import GiMeFiveForImageClassification


def widen_tensor(name: str, narrow: Tensor, shape: torch.Size) -> Tensor:
    """
    `narrow` with its first two dimensions grown to `shape`: outputs copied, inputs copied and divided.

    Copies lie side by side, so that channels which a shortcut pads with zeros stay behind those that it carries.
    Raises ValueError where the shape is no multiple.
    """
    sizes = list(zip(narrow.shape, shape, strict=False))
    fits = narrow.ndim == len(shape) and all(new % old == 0 for old, new in sizes) and narrow.shape[2:] == shape[2:]
    if not fits:
        raise ValueError(f"{name} is {tuple(narrow.shape)}; it cannot be widened to {tuple(shape)}, no multiple of it")
    wide = narrow
    for dimension, (old, new) in enumerate(sizes[:2]):
        wide = wide.repeat_interleave(new // old, dim=dimension)
    return wide if narrow.ndim < 2 else wide * (narrow.shape[1] / shape[1])


@torch.no_grad()
def load_widened(model: GiMeFiveForImageClassification, folder: Path, noise: float, generator: torch.Generator) -> None:
    """
    Put a narrower checkpoint's weights into `model`, in place.

    Args:
        folder: of the checkpoint.
        noise: standard deviation of what is added to the weights, relative to that of each tensor.
        generator: of the noise.

    Raises:
        ValueError: for a folder without a checkpoint, for a network of another kind or depth, and where the widths are
            not all the same multiple, with which shortcuts would carry other channels.
    """
    path = folder / "model.safetensors"
    if not path.is_file():
        raise ValueError(f"no checkpoint in {folder}: it has no model.safetensors")
    if model.config.architecture == "timm" or model.config.pooling != "avg":
        raise ValueError("start='widened' needs a network of our own with pooling='avg'")
    narrow, ours = load_file(path), model.state_dict()
    missing = sorted(name for name in narrow.keys() ^ ours.keys() if not name.endswith("num_batches_tracked"))
    if missing:
        raise ValueError(f"{folder.name} is of another architecture: only one network has {', '.join(missing[:3])}")
    if "classifier.1.weight" in narrow and len(narrow["classifier.1.weight"]) != len(ours["classifier.1.weight"]):
        raise ValueError(f"{folder.name} has other classes than the run")
    wide = {name: widen_tensor(name, t.float(), ours[name].shape) for name, t in narrow.items()}
    factors = {len(ours[name]) // len(t) for name, t in narrow.items() if ".norm" in name and t.ndim == 1}
    if len(factors) > 1:
        raise ValueError(f"all widths must grow by one factor; got {sorted(factors)}")
    for name, t in wide.items():
        if noise and t.ndim > 1 and t.shape != narrow[name].shape:
            t += noise * t.std() * torch.randn(t.shape, generator=generator)
    model.load_state_dict(wide, strict=False)
