"""
Corruptions of aligned crops at five strengths, after ImageNet-C (Hendrycks and Dietterich 2019), for faces.

All take uint8 RGB (n, 3, side, side) of any side and give the same; sizes are shares of the side, so that a 48-px and a
96-px crop suffer alike. The random ones are seeded: the same images give the same result.
"""

import io
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as tvf

STRENGTHS = (1, 2, 3, 4, 5)


def gaussian_blur(images: Tensor, strength: int) -> Tensor:
    """Deviation 1 to 6 % of the side."""
    sigma = (0.01, 0.02, 0.03, 0.045, 0.06)[strength - 1] * images.shape[-1]
    radius = max(1, round(3 * sigma))
    return tvf.gaussian_blur(images, [2 * radius + 1] * 2, [sigma] * 2)


def gaussian_noise(images: Tensor, strength: int) -> Tensor:
    """Deviation 4 to 38 % of the range, as in ImageNet-C."""
    deviation = (0.04, 0.08, 0.12, 0.20, 0.38)[strength - 1] * 255
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(strength))
    return (images + deviation * noise).round().clamp(0, 255).to(torch.uint8)


def jpeg(images: Tensor, strength: int) -> Tensor:
    """JPEG of quality 40 to 5."""
    quality = (40, 25, 15, 10, 5)[strength - 1]
    result = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
        result.append(torch.from_numpy(np.array(Image.open(file, formats=["JPEG"]))).permute(2, 0, 1))
    return torch.stack(result)


def darkness(images: Tensor, strength: int) -> Tensor:
    """Light reduced to 70 … 10 %, with the rounding that a dark photo has."""
    return (images * (0.7, 0.5, 0.35, 0.2, 0.1)[strength - 1]).round().to(torch.uint8)


def brightness(images: Tensor, strength: int) -> Tensor:
    """10 to 50 % of the range added and clipped."""
    return (images + (0.1, 0.2, 0.3, 0.4, 0.5)[strength - 1] * 255).clamp(0, 255).to(torch.uint8)


def low_resolution(images: Tensor, strength: int) -> Tensor:
    """Faces of 32 to 8 px, enlarged again."""
    side = (32, 24, 16, 12, 8)[strength - 1]
    small = F.interpolate(images.float(), size=(side, side), mode="bilinear", antialias=True)
    large = F.interpolate(small, size=images.shape[-2:], mode="bilinear", align_corners=False)
    return large.round().clamp(0, 255).to(torch.uint8)


def mask(images: Tensor, strength: int) -> Tensor:
    """A light blue medical mask from below; at strength 5 it reaches the bridge of the nose."""
    top = (0.88, 0.8, 0.72, 0.63, 0.55)[strength - 1]
    side = images.shape[-1]
    y, x = torch.meshgrid(torch.linspace(0, 1, side), torch.linspace(0, 1, side), indexing="ij")
    covered = (y > top + 0.25 * (x - 0.5) ** 2) & ((x - 0.5).abs() < 0.45)  # a rim that hangs at the sides
    return torch.where(covered, torch.tensor([176, 208, 224], dtype=torch.uint8)[:, None, None], images)


def glasses(images: Tensor, strength: int) -> Tensor:
    """Sunglasses whose lenses grow from 16 to 36 % of the side, at the eyes' usual place in an aligned crop."""
    radius = (0.08, 0.105, 0.13, 0.155, 0.18)[strength - 1]
    side = images.shape[-1]
    y, x = torch.meshgrid(torch.linspace(0, 1, side), torch.linspace(0, 1, side), indexing="ij")
    lenses = ((x - 0.5).abs() - 0.2) ** 2 + (1.25 * (y - 0.38)) ** 2 < radius**2
    bridge = ((y - 0.36).abs() < 0.02) & ((x - 0.5).abs() < 0.2)
    return torch.where(lenses | bridge, torch.tensor(20, dtype=torch.uint8), images)


CORRUPTIONS: dict[str, Callable[[Tensor, int], Tensor]] = {
    function.__name__: function
    for function in (gaussian_blur, gaussian_noise, jpeg, darkness, brightness, low_resolution, mask, glasses)
}


def corrupt(images: Tensor, name: str, strength: int) -> Tensor:
    """Apply the corruption `name` with `strength` 1 to 5. Raises ValueError for others."""
    if name not in CORRUPTIONS or strength not in STRENGTHS:
        raise ValueError(f"expected one of {list(CORRUPTIONS)} and a strength of {STRENGTHS}; got {name!r}, {strength}")
    return CORRUPTIONS[name](images, strength)
