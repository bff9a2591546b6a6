"""
`GiMeFiveImageProcessor` without torch: aligned face crops → the network's input, to the bit, in numpy.

torch resizes uint8 images with weights of 16-bit fixed point, first along the rows, then along the columns, each time
rounding to uint8. Integers of that size are exact in float64, so a matrix product says the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

BILINEAR = 2  # PIL's number, which the processor's file has
# Pixels that are widened to float64 at a time: a photo given as a crop must not take ten times its memory.
BLOCK_PIXELS = 1 << 20
# Weights of the luma (ITU-R 601) as torchvision rounds them.
LUMA = (0.2989, 0.587, 0.114)


@dataclass(frozen=True)
class Preprocessing:
    """
    What the image processor of a checkpoint does to a crop.

    Attributes:
        size: (height, width) of the result, or None to leave the crops' own.
        grey: replace colours by their luma.
        factor: values are multiplied by it, or None.
        mean, std: of each channel, after `factor`; None for no normalisation.
    """

    size: tuple[int, int] | None = (64, 64)
    grey: bool = True
    factor: float | None = 1 / 255
    mean: tuple[float, ...] | None = (0.485, 0.456, 0.406)
    std: tuple[float, ...] | None = (0.229, 0.224, 0.225)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Preprocessing":
        """
        From what `preprocessor_config.json` or an ONNX file's metadata holds.

        Raises:
            ValueError: if it asks for a step that this class does not know.
        """
        unknown = [name for name in ("do_center_crop", "do_pad") if values.get(name)]
        if values.get("resample", BILINEAR) != BILINEAR:
            unknown.append(f"resample={values['resample']}")
        size = values["size"] if values.get("do_resize", True) else None
        if size is not None and set(size) != {"height", "width"}:
            unknown.append(f"size={size}")
        if unknown:
            raise ValueError(f"preprocessing with {', '.join(unknown)} needs the torch backend")
        normalize = values.get("do_normalize", True)
        return cls(
            size=None if size is None else (int(size["height"]), int(size["width"])),
            grey=bool(values.get("do_grayscale", True)),
            factor=float(values.get("rescale_factor", 1 / 255)) if values.get("do_rescale", True) else None,
            mean=tuple(values["image_mean"]) if normalize else None,
            std=tuple(values["image_std"]) if normalize else None,
        )

    def __call__(self, crops: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> NDArray[np.float32]:
        """
        Crops, each uint8 RGB (height, width, 3) → float32 (n, 3, height, width).

        Raises:
            ValueError: for no crop at all, or for crops of several sizes that are not to be resized.
        """
        if not len(crops):
            raise ValueError("expected at least one crop; got none")
        if self.size is None and len({crop.shape for crop in crops}) > 1:
            raise ValueError("crops of several sizes need a preprocessing that resizes")
        planes = np.stack([resize(crop, self.size, self.grey) for crop in crops])  # (n, 1 or 3, height, width)
        return self._scale(planes.astype(np.float32))

    def _scale(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rescale and normalise (n, c, h, w), in the processor's order and precision, and copy grey to three planes."""
        if self.mean is None or self.std is None:
            planes = planes if self.factor is None else planes * np.float32(self.factor)
            return np.ascontiguousarray(np.broadcast_to(planes, (len(planes), 3, *planes.shape[2:])))
        mean, std = (np.array(values, np.float32)[:, None, None] for values in (self.mean, self.std))
        if self.factor is not None:  # both in one step
            mean, std = mean * np.float32(1 / self.factor), std * np.float32(1 / self.factor)
        return (planes - mean) / std


def resize(crop: NDArray[np.uint8], size: tuple[int, int] | None, grey: bool) -> NDArray[np.uint8]:
    """uint8 RGB (h, w, 3) → uint8 (3, height, width), or (1, height, width) in grey."""
    height, width = crop.shape[:2] if size is None else size
    blocks = []
    for block in row_blocks(crop):
        planes = luma(block)[None] if grey else block.transpose(2, 0, 1)
        blocks.append(planes if width == crop.shape[1] else interpolate(planes, width))
    planes = np.concatenate(blocks, axis=1)
    if height != crop.shape[0]:
        planes = interpolate(planes.transpose(0, 2, 1), height).transpose(0, 2, 1)
    return planes


def row_blocks(crop: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """The image in slices of whole rows."""
    rows = max(1, BLOCK_PIXELS // crop.shape[1])
    for top in range(0, crop.shape[0], rows):
        yield crop[top : top + rows]


def luma(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """
    uint8 RGB (h, w, 3) → uint8 (h, w), cut off, not rounded.

    torch adds in float32 with one rounding per channel (fused multiply-add), which decides where the sum is close to a
    whole number; float64 holds each exact sum, and is rounded as often.
    """
    red, green, blue = (np.float64(np.float32(weight)) for weight in LUMA)
    total = (image[..., 0] * red).astype(np.float32)
    total = (total + image[..., 1] * green).astype(np.float32)
    return (total + image[..., 2] * blue).astype(np.float32).astype(np.uint8)


def interpolate(planes: NDArray[np.uint8], length: int) -> NDArray[np.uint8]:
    """The last axis of (c, h, w) brought to `length`, as torch's antialiased bilinear interpolation does it."""
    source = planes.shape[2]
    weights, precision = (cached_weights if source <= 1024 else fixed_point_weights)(source, length)
    half = 1 << (precision - 1)
    values = planes.astype(np.float64) @ weights
    return np.clip(np.floor((values + half) / (1 << precision)), 0, 255).astype(np.uint8)


def fixed_point_weights(source: int, target: int) -> tuple[NDArray[np.float64], int]:
    """
    Matrix (source, target) of whole numbers, and how many bits of them are the fraction.

    Triangles as wide as the step between two results, at least one pixel; the largest weight just fits 16 bits.
    """
    step = source / target
    support = max(step, 1.0)
    centres = step * (np.arange(target) + 0.5)
    first = np.maximum((centres - support + 0.5).astype(int), 0)
    end = np.minimum((centres + support + 0.5).astype(int), source)
    pixels = np.arange(source)[:, None]
    weights = np.maximum(0.0, 1 - np.abs((pixels - centres + 0.5) / support))
    weights = np.where((pixels >= first) & (pixels < end), weights, 0.0)
    weights /= weights.sum(axis=0)
    precision = 0
    while precision < 22 and int(0.5 + weights.max() * (1 << (precision + 1))) < 1 << 15:
        precision += 1
    return np.floor(0.5 + weights * (1 << precision)), precision


cached_weights = lru_cache(maxsize=256)(fixed_point_weights)
