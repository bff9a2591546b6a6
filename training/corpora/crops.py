"""
Face crops for training: one corpus and split as a uint8 array, decoded once and kept as safetensors.

The file lies beside the corpus's cache and carries its digest in the name, so an edited corpus is read again.
"""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from evaluation.corpora import SPLITS, corpora_with
from gimefive_hf.emotions import EMOTIONS
from gimefive_hf.tables import whole_file

from .cache import default_cache_dir
from .load import keep_classes, label_array, prepare_corpus, read_split
from .schema import LABELS as ALL_LABELS
from .schema import VOTES
from .tensors import Crops, to_tensors

# Labels of crops: the six emotions, then neutral, which six-class models have no output for.
LABELS = (*EMOTIONS, "neutral")
NEUTRAL = LABELS.index("neutral")
assert ALL_LABELS[: len(LABELS)] == LABELS
assert VOTES[: len(LABELS)] == LABELS


def with_second(crops: Crops, names: list[str]) -> Crops:
    """The same crops with second labels, n names as `read_second_labels` gives them."""
    second = torch.tensor([LABELS.index(name) if name in LABELS else -1 for name in names])
    return replace(crops, second=second)


def read_crops(
    data: Path, corpus: str, split: str, grey: bool = True, side: int | None = None, cache: Path | None = None
) -> Crops:
    """
    One split of one corpus of the folder `data`, resized to `side` px if given; `cache` is the folder of all caches.

    Raises `ValueError` for an unknown name, for a corpus that is not there or has unreadable images (all are named
    before anything is trained), and for images of several sizes where no `side` is given.
    """
    known = corpora_with(train=True)
    if corpus not in known or split not in SPLITS:
        raise ValueError(f"expected a corpus out of {known} and a split out of {SPLITS}; got {corpus!r}, {split!r}")
    cache = cache or default_cache_dir()
    prepared = prepare_corpus(corpus, data, cache)
    # Other problems, such as listed images that are not there, have been logged as a warning.
    unreadable = [f"{p.source}: {p.reason}" for p in prepared.problems if p.reason.startswith("cannot be read")]
    if unreadable:
        raise ValueError(
            f"{corpus}: {len(unreadable)} image(s) cannot be read; mend them or take them out of the corpus:\n  "
            + "\n  ".join(unreadable[:20])
        )
    path = cache / f"{prepared.folder.name}-{split}-{'grey' if grey else 'rgb'}-{side or 'as-is'}.safetensors"
    if path.is_file():
        with safe_open(path, framework="pt") as file:
            texts = file.metadata()
            tensors = {name: file.get_tensor(name) for name in ("images", "labels", "votes")}
        return Crops(**tensors, sources=json.loads(texts["sources"]), left_out=json.loads(texts["left_out"]))
    dataset = read_split(prepared, split)
    names = Counter(ALL_LABELS[label] for label in label_array(dataset).tolist())
    decoded = to_tensors(keep_classes(dataset, len(LABELS)), side, channels=1 if grey else 3)
    crops = replace(
        decoded,
        votes=decoded.votes[:, : len(LABELS)].nan_to_num(0.0),
        left_out={name: count for name, count in names.items() if name not in LABELS},
    )
    tensors = {"images": crops.images, "labels": crops.labels, "votes": crops.votes}
    texts = {"sources": json.dumps(crops.sources), "left_out": json.dumps(crops.left_out)}
    with whole_file(path) as part:
        save_file(tensors, part, metadata=texts)
    return crops
