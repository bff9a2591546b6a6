"""
Augmentation of whole batches of crops as tensors, every image with its own random numbers, all from one generator.

Plain tensor operations: torchvision's transforms draw once for a whole tensor, and called image by image they take
more than three times as long, kornia's nearly so.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as TF


@dataclass(frozen=True)
class Augmentation:
    """
    Args:
        flip: mirror every second image.
        rotation: greatest angle in degrees, either way.
        scale: greatest share by which the face grows or shrinks.
        shift: greatest shift as a share of the side, either way.
        light: greatest share by which brightness, and contrast, change.
        resampling: probability that a batch is first brought down to one side of 36 to 64 pixels.
        erasing: probability that a rectangle of an image, 13 to 45 % of its side, is painted over.
        blur: probability that a batch is blurred, with a sigma of 0.3 to 1.2 pixels of its own resolution.
        jpeg: probability that an image is saved as JPEG of quality 30 to 90, as the sources of the corpora differ in.
        noise: probability that an image gets Gaussian noise, with a sigma of up to 0.15 of the range of values.

    Raises:
        ValueError: if a strength is outside its range.
    """

    flip: bool = True
    rotation: float = 15.0
    scale: float = 0.15
    shift: float = 0.06
    light: float = 0.3
    resampling: float = 0.3
    erasing: float = 0.25
    blur: float = 0.0
    jpeg: float = 0.0
    noise: float = 0.0

    def __post_init__(self):
        for name in ("scale", "shift", "light", "resampling", "erasing", "blur", "jpeg", "noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1; got {getattr(self, name)}")
        if not 0 <= self.rotation <= 180:
            raise ValueError(f"rotation must be between 0 and 180 degrees; got {self.rotation}")


def augment(images: Tensor, side: int, options: Augmentation, generator: torch.Generator) -> Tensor:
    """
    One random variant of each image: `compressed`, then `warped`.

    Args:
        images: uint8 (n, channels, height, width), grey or RGB.
        side: of the result, in pixels.
        options: how strong.
        generator: the only source of chance, on the processor.

    Returns:
        uint8 (n, channels, side, side).
    """
    return warped(compressed(images, options, generator), side, options, generator)


def warped(images: Tensor, side: int, options: Augmentation, generator: torch.Generator) -> Tensor:
    """
    The part of `augment` that a GPU does when the images are there: noise, resampling, rotation, size, place, mirror,
    light, erasing. The few random numbers are drawn on the processor; only those of the noise where the images are.
    """
    n, device = len(images), images.device

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.empty(*(shape or (n,))).uniform_(low, high, generator=generator)

    x = noisy(images, options, uniform, generator).float()
    if options.resampling and uniform(0, 1, 1) < options.resampling:
        # One resolution for the group: corpora must not be told apart by their sharpness.
        coarse = int(uniform(36, 64, 1))
        x = F.interpolate(x, size=(coarse, coarse), mode="bilinear", antialias=True)
    angle = uniform(-options.rotation, options.rotation) * math.pi / 180
    scale = 1 + uniform(-options.scale, options.scale)
    flip = 1 - 2 * ((uniform(0, 1) < 0.5) & options.flip).float()
    shift = 2 * options.shift  # affine_grid's coordinates run from -1 to 1
    row1 = torch.stack([scale * flip * angle.cos(), -scale * angle.sin(), uniform(-shift, shift)], 1)
    row2 = torch.stack([scale * flip * angle.sin(), scale * angle.cos(), uniform(-shift, shift)], 1)
    grid = F.affine_grid(torch.stack([row1, row2], 1).to(device), [n, 1, side, side], align_corners=False)
    x = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    contrast, brightness = (1 + uniform(-options.light, options.light).to(device)[:, None, None, None] for _ in "12")
    x = (x - mean) * contrast + mean * brightness
    for i in (uniform(0, 1) < options.erasing).nonzero()[:, 0].tolist():
        height, width = (max(1, int(v)) for v in uniform(0.134 * side, 0.446 * side, 2))
        top, left = int(uniform(0, side - height, 1)), int(uniform(0, side - width, 1))
        x[i, :, top : top + height, left : left + width] = float(uniform(0, 255, 1))
    return x.clamp(0, 255).to(torch.uint8)


def compressed(images: Tensor, options: Augmentation, generator: torch.Generator) -> Tensor:
    """
    Blur and JPEG, in this order, as a camera and a website add them; uint8 in, uint8 out. JPEG is the processor's work.

    Against shortcuts through a corpus's sharpness and compression.
    """
    x = images

    def uniform(low: float, high: float, count: int) -> Tensor:
        return torch.empty(count).uniform_(low, high, generator=generator)

    if options.blur and uniform(0, 1, 1) < options.blur:
        x = TF.gaussian_blur(x, [5, 5], [float(uniform(0.3, 1.2, 1))])
    if options.jpeg:
        x = x.clone()
        for i in (uniform(0, 1, len(x)) < options.jpeg).nonzero()[:, 0].tolist():
            # torchvision encodes RGB only; of three equal channels it gives three equal ones back.
            rgb = x[i].expand(3, -1, -1).contiguous()
            x[i] = TF.jpeg(rgb, int(uniform(30, 90, 1)))[: x.shape[1]]
    return x


def noisy(images: Tensor, options: Augmentation, uniform, generator: torch.Generator) -> Tensor:
    """Gaussian noise, for photos taken in the dark; uint8 in, uint8 out. `uniform` is that of `warped`."""
    if not options.noise:
        return images
    chosen = uniform(0, 1) < options.noise
    sigma = uniform(0, 0.15 * 255)[chosen, None, None, None].to(images.device)
    if images.device.type != "cpu":  # a generator serves one device
        seed = int(torch.randint(2**62, (1,), generator=generator))
        generator = torch.Generator(images.device).manual_seed(seed)
    chosen = chosen.to(images.device)
    clean = images[chosen].float()
    x = images.clone()
    noise = torch.randn(clean.shape, generator=generator, device=images.device)
    x[chosen] = (clean + sigma * noise).clamp(0, 255).to(torch.uint8)
    return x
