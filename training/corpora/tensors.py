"""Labelled images in memory: the one container, and what decodes a dataset into it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import datasets
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from .load import label_array
from .schema import LABELS, VOTES, decode

LISTS = ("sources", "corpora", "splits", "subjects")  # the fields of `Crops` that tell where an image comes from


@dataclass
class Crops:
    """
    Labelled images of one or several corpora. Lists of what nobody asked for are empty.

    Attributes:
        images: uint8 (n, channels, side, side), RGB or grey; where sizes differ a list of (channels, height, width).
        labels: int64 (n,), indices into LABELS, -1 where there is no label.
        votes: float32 (n, 10), annotators' counts in the order of VOTES; a row of NaN where there are none. In crops
            for training (n, 7), of which a row without any is zero.
        sources: n paths inside the corpora.
        left_out: images, by class, whose class is none of the asked ones.
        second: int64 (n,), another opinion's labels, -1 where it has none; None for a corpus without.
        detected: uint8 (m, channels, side, side), some of the images as our detector crops them; None for none.
        detected_at: int64 (n,), which of `detected` belongs to each image, -1 where none does.
        corpora: n names.
        splits: n names.
        subjects: n persons, None where the corpus does not tell.
    """

    images: Any
    labels: Tensor
    votes: Tensor
    sources: list[str]
    left_out: dict[str, int] = field(default_factory=dict)
    second: Tensor | None = None
    detected: Tensor | None = None
    detected_at: Tensor | None = None
    corpora: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    subjects: list[str | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def names(self) -> list[str]:
        """The labels' names."""
        return [LABELS[label] for label in self.labels.tolist()]

    @property
    def pixels(self) -> NDArray[np.uint8] | list[NDArray[np.uint8]]:
        """RGB, channels last, as predictors take it: a view (n, side, side, 3), or a list where sizes differ."""
        if isinstance(self.images, list):
            return [image.expand(3, -1, -1).permute(1, 2, 0).numpy() for image in self.images]
        return self.images.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()

    def select(self, chosen: Tensor) -> "Crops":
        """The crops at the indices, or where the mask is true."""
        chosen = chosen.nonzero()[:, 0] if chosen.dtype == torch.bool else chosen

        def pick(part: list) -> list:
            return [part[i] for i in chosen.tolist()] if part else part

        lists: dict[str, Any] = {name: pick(getattr(self, name)) for name in LISTS}
        return replace(
            self,
            images=pick(self.images) if isinstance(self.images, list) else self.images[chosen],
            labels=self.labels[chosen],
            votes=self.votes[chosen],
            second=None if self.second is None else self.second[chosen],
            detected_at=None if self.detected_at is None else self.detected_at[chosen],
            **lists,
        )


def joined(parts: Sequence[Crops]) -> Crops:
    """All images of `parts`, which have one size; what is left out is not counted."""
    tensors = {name: torch.cat([getattr(part, name) for part in parts]) for name in ("images", "labels", "votes")}
    lists: dict[str, Any] = {name: [value for part in parts for value in getattr(part, name)] for name in LISTS}
    return Crops(**tensors, **lists)


def to_tensors(
    dataset: datasets.Dataset, side: int | None = None, channels: int = 3, mixed: bool = False, batch: int = 1000
) -> Crops:
    """
    Decode a dataset of `load_corpus` once: 70,000 grey crops of 64×64 take 290 MB.

    Args:
        dataset: memory-mapped; a stream is what one takes for what does not fit into memory.
        side: pixels; images of another size are resized (bilinear, antialiased). None asks that all have one size.
        channels: 3 for RGB, 1 for grey (ITU-R 601 luma).
        mixed: leave every image its own size, and give a list.
        batch: images per step; no influence on the result.

    Raises:
        ValueError: if `side` is None, not `mixed`, and the images differ in size, or are not square.
    """
    if channels not in (1, 3):
        raise ValueError(f"channels must be 3 (RGB) or 1 (grey); got {channels}")
    same_size = side is None
    images, own_sizes, first = None, [], 0
    columns: dict[str, list] = {name: [] for name in ("source", "corpus", "split", "subject", "votes")}
    for table in dataset.with_format("arrow").iter(batch_size=batch):
        for data in table["image"].combine_chunks().field("bytes").to_pylist():
            image = decode(data).convert("RGB" if channels == 3 else "L")
            if mixed:
                pixels = np.array(image).reshape(image.height, image.width, channels)
                own_sizes.append(torch.from_numpy(pixels).permute(2, 0, 1))
                continue
            side = side or image.width
            if same_size and image.size != (side, side):
                raise ValueError(
                    f"images differ in size or are not square ({image.size}); give a side to resize them to"
                )
            if images is None:
                images = np.empty((len(dataset), side, side, channels), np.uint8)
            if image.size != (side, side):
                image = image.resize((side, side), Image.Resampling.BILINEAR)
            images[first] = np.asarray(image).reshape(side, side, channels)
            first += 1
        for name, values in columns.items():
            values += table[name].to_pylist()
    if images is None:
        images = np.empty((0, side or 1, side or 1, channels), np.uint8)
    missing = [float("nan")] * len(VOTES)
    return Crops(
        own_sizes if mixed else torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(),
        torch.from_numpy(label_array(dataset)),
        torch.tensor([row or missing for row in columns["votes"]], dtype=torch.float32).reshape(-1, len(VOTES)),
        columns["source"],
        corpora=columns["corpus"],
        splits=columns["split"],
        subjects=columns["subject"],
    )
