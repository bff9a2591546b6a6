"""Test images for the explanation scripts: a seeded draw, evenly over corpora and classes as far as they reach."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from evaluation.store import hash_file
from gimefive_hf.image_processing_gimefive import GiMeFiveImageProcessor
from gimefive_hf.loading import load_checkpoint
from gimefive_hf.modeling_gimefive import GiMeFiveForImageClassification, resolve_checkpoint

from ..corpora import keep_classes, label_array, load_corpus, to_tensors


@dataclass
class TestImages:
    """
    `crops` uint8 (n, side, side, 3) RGB, `labels` int64 (n,) indices into EMOTIONS, `votes` float32 (n, 10) FER+ counts
    in the order of `corpora.VOTES`, NaN where there are none; `corpora` and `sources` n strings.
    """

    __test__ = False  # not a test case, whatever pytest thinks of the name

    crops: np.ndarray
    labels: np.ndarray
    votes: np.ndarray
    corpora: list[str]
    sources: list[str]

    def __len__(self) -> int:
        return len(self.labels)


def draw_test_images(
    data: Path, corpora: Sequence[str], count: int | None, side: int, seed: int = 0, cache_dir: Path | None = None
) -> TestImages:
    """
    Images of the six classes out of the corpora's test splits, resized to `side` px.

    Args:
        count: images of each corpus, as evenly over the classes as they have images; None for all.

    Raises:
        ValueError: for an unknown corpus or one without a test split; CorpusError if it cannot be read.
    """
    parts = []
    for name in corpora:
        splits = load_corpus(name, data, cache_dir)
        if "test" not in splits:
            raise ValueError(f"{name} has no test split; it has {', '.join(splits)}")
        dataset = keep_classes(splits["test"])
        if count is not None:
            dataset = dataset.select(balanced_draw(label_array(dataset), count, seed))
        parts.append(to_tensors(dataset, side))
    return TestImages(
        torch.cat([part.images for part in parts]).permute(0, 2, 3, 1).contiguous().numpy(),
        torch.cat([part.labels for part in parts]).numpy(),
        torch.cat([part.votes for part in parts]).numpy(),
        [corpus for part in parts for corpus in part.corpora],
        [source for part in parts for source in part.sources],
    )


def balanced_draw(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Sorted indices of at most `count` images: in a random order, the first of each class, the second of each, …"""
    order = np.random.default_rng(seed).permutation(len(labels))
    turn = np.empty(len(labels), np.int64)  # how many images of the same class come before in the order
    for label in np.unique(labels):
        members = order[labels[order] == label]
        turn[members] = np.arange(len(members))
    position = np.empty(len(labels), np.int64)
    position[order] = np.arange(len(labels))
    return np.sort(np.lexsort((position, turn))[:count])


@dataclass(frozen=True)
class LoadedModel:
    """A model in eval mode, its processor, its name in the tables, and which weights: 12 hex digits of their sha256."""

    model: GiMeFiveForImageClassification
    processor: GiMeFiveImageProcessor
    name: str
    weights: str

    @property
    def side(self) -> int:
        """Side of the network's input in pixels."""
        return self.processor.size["height"]


def load_model(folder: str, name: str | None = None) -> LoadedModel:
    """
    Args:
        folder: "gimefive" for the bundled checkpoint, or the folder of one.
        name: what the tables call it; by default the folder's name.

    Raises:
        ValueError: if there is no checkpoint, or it is not whole.
    """
    weights = Path(resolve_checkpoint(folder)) / "model.safetensors"
    if not weights.is_file():
        raise ValueError(f"no checkpoint {folder!r}: expected a folder with model.safetensors, or gimefive")
    model, processor = load_checkpoint(folder)
    return LoadedModel(model.eval(), processor, name or Path(folder).name, hash_file(weights))


def model_pixels(processor: GiMeFiveImageProcessor, crops: np.ndarray) -> Tensor:
    """uint8 RGB (n, side, side, 3) → `pixel_values` (n, c, H, W)."""
    return processor(torch.from_numpy(crops).permute(0, 3, 1, 2), return_tensors="pt")["pixel_values"]
