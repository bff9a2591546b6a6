"""Heat maps brought to one scale and size, in numpy."""

import cv2
import numpy as np
from numpy.typing import NDArray


def scale_maps(maps: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """
    Stretch each map (n, h, w) to [0, 1], enlarge it bilinearly to `size` (H, W), stretch it again: float32 (n, H, W).

    The same as grad-cam's scaling, so that maps of all methods can be compared. A constant map becomes 0.
    """
    enlarged = [cv2.resize(map_, size[::-1], interpolation=cv2.INTER_LINEAR) for map_ in stretch(maps)]
    return stretch(np.stack(enlarged))


def stretch(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """(maps - min) / (max - min) of each map (n, h, w), 0 where max = min."""
    maps = maps - maps.min(axis=(1, 2), keepdims=True)
    top = maps.max(axis=(1, 2), keepdims=True)
    return (maps / np.maximum(top, np.finfo(np.float32).tiny) * (top > 0)).astype(np.float32)
