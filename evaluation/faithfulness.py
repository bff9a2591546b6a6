"""
How far a heat map can be trusted: deletion and insertion (Petsiuk et al. 2018, arXiv 1806.07421), pointing at face
regions, baselines that know nothing of the model, and the randomisation check (Adebayo et al. 2018, arXiv 1810.03292).
"""

import copy
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gimefive_hf.explain.layers import scale_maps
from gimefive_hf.explain.regions import EXPRESSIVE_REGIONS, REGIONS
from gimefive_hf.modeling_gimefive import GiMeFiveForImageClassification

from .metrics import share_interval

# Maps that don't look at the model; a method that does no better explains nothing.
BASELINES: tuple[str, ...] = ("random cells", "random pixels", "centred gaussian", "edges")


@dataclass(frozen=True)
class Estimate:
    """A mean over images with its 95 % interval [low, high] (normal approximation) and the number of images."""

    value: float
    low: float
    high: float
    n: int


def estimate(values: NDArray) -> Estimate:
    """Mean of the finite `values` (n,). NaN throughout if there is none; without interval if there is only one."""
    kept = np.asarray(values, np.float64)
    kept = kept[np.isfinite(kept)]
    if not len(kept):
        return Estimate(np.nan, np.nan, np.nan, 0)
    mean = float(kept.mean())
    half = 1.96 * float(kept.std(ddof=1)) / len(kept) ** 0.5 if len(kept) > 1 else np.nan
    return Estimate(mean, mean - half, mean + half, len(kept))


def proportion(hits: int, n: int) -> Estimate:
    """A share with Wilson's 95 % interval (1927). NaN without any case."""
    if n == 0:
        return Estimate(np.nan, np.nan, np.nan, 0)
    share = hits / n
    return Estimate(share, *share_interval(share, n), n)


def baseline_maps(name: str, images: NDArray[np.uint8], seed: int = 0) -> NDArray[np.float32]:
    """
    Maps of one of `BASELINES`, float32 (n, H, W) in [0, 1].

    Args:
        name: "random cells" is noise on 7×7 cells, enlarged as a class activation map is; "random pixels" is noise on
            pixels; "centred gaussian" has a deviation of a quarter of the side; "edges" is the Sobel gradient.
        images: uint8 (n, H, W), grey.

    Raises:
        ValueError: for an unknown name.
    """
    n, height, width = images.shape
    random = np.random.default_rng(seed)
    if name == "random cells":
        return scale_maps(torch.from_numpy(random.random((n, 7, 7), np.float32)), (height, width))
    if name == "random pixels":
        return random.random((n, height, width), np.float32)
    if name == "centred gaussian":
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        y, x = (y + 0.5) / height - 0.5, (x + 0.5) / width - 0.5
        bump = np.exp(-(x**2 + y**2) / (2 * 0.25**2))
        return scale_maps(torch.from_numpy(bump).expand(n, -1, -1))
    if name != "edges":
        raise ValueError(f"a baseline is one of {', '.join(BASELINES)}; got {name!r}")
    grey = images.astype(np.float32)
    slopes = [np.hypot(cv2.Sobel(g, cv2.CV_32F, 1, 0), cv2.Sobel(g, cv2.CV_32F, 0, 1)) for g in grey]
    return scale_maps(torch.from_numpy(np.stack(slopes)))


def pixel_ranks(heat: NDArray[np.float32], seed: int = 0) -> Tensor:
    """
    Place of each pixel in the order of falling heat, from 0 to H·W - 1: int (n, H·W).

    Pixels of equal heat, such as the many zeros after a ReLU, come in random order: any fixed one, from top to bottom
    say, would be a map of its own.
    """
    n = len(heat)
    flat = torch.from_numpy(np.ascontiguousarray(heat)).reshape(n, -1)
    shuffle = torch.randperm(flat.shape[1], generator=torch.Generator().manual_seed(seed))
    order = shuffle[torch.argsort(flat[:, shuffle], dim=1, descending=True, stable=True)]
    ranks = torch.empty_like(order)
    return ranks.scatter_(1, order, torch.arange(flat.shape[1]).expand(n, -1))


def blurred(pixel_values: Tensor) -> Tensor:
    """Images (n, c, H, W) after a Gaussian of a deviation of a tenth of the side: no expression can be told."""
    side = pixel_values.shape[-1]
    sigma = side / 10
    half = int(3 * sigma)
    kernel = torch.exp(-(torch.arange(-half, half + 1, dtype=pixel_values.dtype) ** 2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    x = pixel_values.flatten(0, 1)[:, None]  # (n·c, 1, H, W)
    x = torch.nn.functional.pad(x, (half, half, half, half), mode="replicate")
    x = torch.nn.functional.conv2d(torch.nn.functional.conv2d(x, kernel[None, None, None]), kernel[None, None, :, None])
    return x.reshape(pixel_values.shape)


@torch.no_grad()
def probabilities(model, pixel_values: Tensor, targets: Tensor, batch_size: int = 128) -> Tensor:
    """Probability (n,) of each image's target class in a single pass of `model` in eval mode."""
    parts = []
    for x, target in zip(pixel_values.split(batch_size), targets.split(batch_size), strict=True):
        parts.append(model.classify(x)[0].float().softmax(1).gather(1, target[:, None])[:, 0])
    return torch.cat(parts)


def curves(
    model: GiMeFiveForImageClassification,
    pixel_values: Tensor,
    targets: list[int],
    heat: NDArray[np.float32],
    steps: int = 8,
    blur: Tensor | None = None,
    ends: tuple[Tensor, Tensor, Tensor] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """
    Deletion and insertion curves: probability of the class after 0, 1/steps, … 1 of the pixels were changed, hottest
    first. Deletion replaces them by 0, the processor's mean colour; insertion puts them back into the blurred image.

    Args:
        pixel_values: float (n, c, H, W).
        targets: one class index per image.
        heat: float32 (n, H, W), the maps under test.
        steps: number of equal portions.
        blur, ends: `blurred(pixel_values)` and `curve_ends(…)`, if known; they are the same for every method.

    Returns:
        deletion and insertion, float32 (n, steps + 1) each. Their means along the second axis by the trapezoidal rule
        are the areas, see `auc`.
    """
    if heat.shape != (len(pixel_values), *pixel_values.shape[-2:]):
        raise ValueError(f"expected heat maps {(len(pixel_values), *pixel_values.shape[-2:])}; got {heat.shape}")
    blur = blurred(pixel_values) if blur is None else blur
    wanted = torch.tensor(targets)
    whole, empty, blurry = curve_ends(model, pixel_values, targets, blur) if ends is None else ends
    ranks = pixel_ranks(heat).reshape(len(heat), 1, *heat.shape[1:])
    deletion, insertion = [whole], [blurry]
    pixels = heat.shape[1] * heat.shape[2]
    for step in range(1, steps):
        hot = ranks < round(step / steps * pixels)
        deletion.append(probabilities(model, pixel_values.masked_fill(hot, 0.0), wanted))
        insertion.append(probabilities(model, torch.where(hot, pixel_values, blur), wanted))
    return torch.stack([*deletion, empty], 1).numpy(), torch.stack([*insertion, whole], 1).numpy()


def curve_ends(model, pixel_values: Tensor, targets: list[int], blur: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Probability (n,) of the class for the whole image, for a flat one and for the blurred one."""
    wanted = torch.tensor(targets)
    with torch.no_grad():
        flat = model.classify(torch.zeros_like(pixel_values[:1]))[0].float().softmax(1)[0, wanted]
    return probabilities(model, pixel_values, wanted), flat, probabilities(model, blur, wanted)


def auc(curve: NDArray[np.float32]) -> NDArray[np.float64]:
    """Area (n,) under curves (n, steps + 1) over [0, 1], by the trapezoidal rule."""
    return np.trapezoid(curve.astype(np.float64), dx=1 / (curve.shape[1] - 1), axis=1)


def pointing_hits(heat: NDArray[np.float32], regions: NDArray[np.uint8], emotions: list[str]) -> NDArray[np.bool_]:
    """
    The pointing game (Zhang et al. 2016, arXiv 1608.00507) on face regions: does the hottest pixel of each map lie in a
    region in which the explained expression shows (`EXPRESSIVE_REGIONS`)?

    Args:
        heat: float (n, H, W).
        regions: uint8 (n, H, W), from `region_map`.
        emotions: the explained class of each map.

    Returns:
        bool (n,). A map that is the same everywhere points nowhere and misses.
    """
    hits = np.zeros(len(heat), bool)
    for i, (map_, region, emotion) in enumerate(zip(heat, regions, emotions, strict=True)):
        allowed = [REGIONS.index(name) for name in EXPRESSIVE_REGIONS[emotion]]
        hottest = region[map_ == map_.max()]
        hits[i] = map_.max() > map_.min() and np.isin(hottest, allowed).mean() > 0.5
    return hits


def rank_correlation(a: NDArray[np.float32], b: NDArray[np.float32], side: int = 28) -> NDArray[np.float64]:
    """Spearman's correlation (n,) of pairs of maps (n, H, W), on `side`×`side` cells; NaN where a map is constant."""
    from scipy.stats import rankdata

    ranks = []
    for maps in (a, b):
        cells = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(np.ascontiguousarray(maps))[:, None], side)
        rank = rankdata(cells.flatten(1).numpy(), axis=1)
        ranks.append(rank - rank.mean(1, keepdims=True))
    norms = np.linalg.norm(ranks[0], axis=1) * np.linalg.norm(ranks[1], axis=1)
    products = (ranks[0] * ranks[1]).sum(1)
    return np.divide(products, norms, out=np.full(len(a), np.nan), where=norms > 0)


def randomised(model: GiMeFiveForImageClassification, part: str, seed: int = 0) -> GiMeFiveForImageClassification:
    """
    A copy of the model with weights drawn anew: of the "classifier" only, or of "all" layers, with the batch norms'
    means and variances set back to 0 and 1. Raises ValueError for another part.
    """
    if part not in ("classifier", "all"):
        raise ValueError(f"part must be 'classifier' or 'all'; got {part!r}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = type(model)(copy.deepcopy(model.config)).eval()
    if part == "classifier":
        fresh.gimefive.load_state_dict(model.gimefive.state_dict())
    return fresh.to(model.device, model.dtype)
