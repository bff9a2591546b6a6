"""Test-time augmentation in numpy: the zoomed and mirrored images over which a model's config averages."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


def views(inputs: NDArray[np.float32], flip: bool, zooms: Sequence[float]) -> list[NDArray[np.float32]]:
    """`inputs` (n, c, h, w) as they are, zoomed by each factor, and with `flip` the mirror images of all."""
    found = [inputs, *(zoom(inputs, factor) for factor in zooms)]
    return [*found, *(view[..., ::-1] for view in found)] if flip else found


def zoom(inputs: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """As `modeling_gimefive.zoom`: enlarged about the centre; below 1 the edge's pixels fill the margin."""
    rows, columns = (zoom_matrix(length, factor) for length in inputs.shape[2:])
    return (rows @ inputs @ columns.T).astype(np.float32, copy=False)


@lru_cache(maxsize=64)
def zoom_matrix(length: int, factor: float) -> NDArray[np.float32]:
    """Matrix (length, length): each result is interpolated between the two pixels beside its place, or the border's."""
    centre = (length - 1) / 2
    places = np.clip((np.arange(length) - centre) / factor + centre, 0, length - 1)
    return np.maximum(0.0, 1 - np.abs(places[:, None] - np.arange(length))).astype(np.float32)
