"""Test images for the explanation scripts: a seeded draw, evenly over corpora and classes as far as they reach."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evaluation.store import hash_file
from gimefive_hf.bundled import resolve_checkpoint
from gimefive_hf.runtimes.torch_predictor import TorchPredictor

from ..corpora import Crops, joined, keep_classes, label_array, load_corpus, to_tensors
from ..script import Script


def draw_test_images(
    data: Path, corpora: Sequence[str], count: int | None, side: int, seed: int = 0, cache_dir: Path | None = None
) -> Crops:
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
    return joined(parts)


def model_script(name: str, text: str | None) -> Script:
    """The command line of a script that explains a model on test images."""
    parser = Script(name, text, store="--results")
    parser.add_argument("--model", default="gimefive", help='"gimefive" or the folder of a checkpoint')
    parser.add_argument("--name", help="what the tables call the model (default: the folder's name)")
    parser.add_argument("--data", type=Path, default=Path("../shared/corpora"), help="folder with the corpora")
    return parser


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


class LoadedModel(TorchPredictor):
    """A predictor with its name in the tables, and which weights: 12 hex digits of their sha256."""

    name: str
    weights: str


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
    loaded = LoadedModel.from_pretrained(folder)
    loaded.name, loaded.weights = name or Path(folder).name, hash_file(weights)
    return loaded
