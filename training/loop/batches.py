"""
Training batches: which images, in which order, augmented how. Every random number comes from (seed, position).

A run is one long sequence of positions 0, 1, 2, …; epochs follow each other in it without a gap. The order of an epoch
depends on (seed, its number), the augmentation of a batch on (seed, position of its first image). So a resumed
run sees what an unbroken one would, and it does not matter how many workers make the batches.
"""

import bisect
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset, Sampler

from ..corpora.crops import LABELS, NEUTRAL, Crops
from .augmentation import compressed, warped
from .settings import TrainingSettings

DETECTED_PART = 32  # of a batch's sources of chance, the first for which images come as detected; one per corpus
MIN_VOTES = 5  # FER+ votes for one of the labels, below which an image's votes do not count
NEUTRAL_SHARE_OF_SIX = 1 / 6  # with six classes a vote for neutral is one sixth of a vote for each


def targets_of(crops: Crops, settings: TrainingSettings, teacher_probabilities: Tensor | None = None) -> Tensor:
    """
    Soft targets (n, classes): the label, mixed with the annotators' votes and with a second label,
    smoothed, mixed with what a teacher says.

    With six classes, neutral faces and votes for neutral are spread evenly over the six; neutral faces, of which a
    teacher of six classes knows nothing, keep that. `teacher_probabilities` are (n, classes), or, with seven classes,
    (n, 6) of a teacher of the six emotions; NEUTRAL keeps its share then.
    """
    targets = F.one_hot(crops.labels, len(LABELS)).float()
    counted = crops.votes.sum(1) >= MIN_VOTES
    votes = crops.votes[counted] / crops.votes[counted].sum(1, keepdim=True)
    targets[counted] = (1 - settings.vote_share) * targets[counted] + settings.vote_share * votes
    if crops.second is not None:
        told = crops.second >= 0
        opinions = F.one_hot(crops.second[told], len(LABELS)).float()
        targets[told] = (1 - settings.second_share) * targets[told] + settings.second_share * opinions
    if settings.classes < len(LABELS):
        six = torch.cat([targets[:, :NEUTRAL], targets[:, NEUTRAL + 1 :]], dim=1)
        targets = six + NEUTRAL_SHARE_OF_SIX * targets[:, NEUTRAL : NEUTRAL + 1]
    targets = (1 - settings.label_smoothing) * targets + settings.label_smoothing / targets.shape[1]
    if teacher_probabilities is None:
        return targets
    if teacher_probabilities.shape[1] == settings.classes:
        known = crops.labels < settings.classes
    else:  # a teacher of the six emotions, for seven classes: it tells how the share that is not neutral divides
        known = torch.ones_like(crops.labels, dtype=torch.bool)
        teacher_probabilities = with_neutral(teacher_probabilities, targets)
    share = settings.teacher_share
    targets[known] = (1 - share) * targets[known] + share * teacher_probabilities[known]
    return targets


def with_neutral(six: Tensor, targets: Tensor) -> Tensor:
    """The emotions' probabilities (n, 6), targets (n, 7) → (n, 7): neutral keeps its share, the six divide the rest."""
    neutral = targets[:, NEUTRAL : NEUTRAL + 1]
    return torch.cat([(1 - neutral) * six, neutral], dim=1)


def used(crops: Crops, settings: TrainingSettings) -> Tensor:
    """Which crops are trained on, (n,) bool: not the neutral ones if these are to be dropped."""
    if settings.classes == len(LABELS) or settings.neutral == "uniform":
        return torch.ones_like(crops.labels, dtype=torch.bool)
    return crops.labels != NEUTRAL


def usable(crops: Crops, settings: TrainingSettings) -> Crops:
    """The crops that are trained on."""
    chosen = used(crops, settings)
    return crops if chosen.all() else crops.select(chosen)


class TrainingImages(Dataset):
    """All `usable` crops of a run, by a running number over the corpora; an item is (position, number)."""

    def __init__(
        self,
        crops: dict[str, Crops],
        settings: TrainingSettings,
        length: int,
        teacher_probabilities: dict[str, Tensor] | None = None,
    ):
        self.crops = crops
        said = teacher_probabilities or {}
        self.targets = {name: targets_of(c, settings, said.get(name)) for name, c in self.crops.items()}
        self.starts = np.cumsum([0, *(len(c) for c in self.crops.values())]).tolist()
        self.settings = settings
        self.length = length

    def __len__(self) -> int:
        return self.length  # images of the whole run, which is one epoch to the Trainer

    def __getitem__(self, item: tuple[int, int]) -> tuple[int, int]:
        return item

    def weights(self) -> Tensor:
        """Expected number of times that each image comes in an epoch, (n,)."""
        parts = []
        for name, crops in self.crops.items():
            counts = torch.bincount(crops.labels, minlength=len(LABELS)).double()
            weight = counts.clamp(min=1) ** -self.settings.class_exponent
            weight[NEUTRAL] *= self.settings.neutral_weight
            weight = weight[crops.labels]
            parts.append(weight * (self.settings.corpora[name] * len(weight) / weight.sum()))
        return torch.cat(parts)


class EpochSampler(Sampler):
    """Yields (position, number of the image) for the whole run; see the module's text."""

    def __init__(self, images: TrainingImages):
        self.images = images
        self.weights = images.weights()
        if not self.weights.sum() > 0:
            raise ValueError("every corpus has weight 0: there is nothing to train on")

    def __len__(self) -> int:
        return len(self.images)

    def draw_epoch(self, number: int) -> list[int]:
        """An image of weight 1.3 comes once or, in 30 % of the epochs, twice; the order is random."""
        generator = torch.Generator().manual_seed(self.images.settings.seed * 100_000 + number)
        extra = torch.rand(len(self.weights), generator=generator, dtype=torch.float64)
        repeats = (self.weights + extra).floor().long()
        order = torch.arange(len(repeats)).repeat_interleave(repeats)
        return order[torch.randperm(len(order), generator=generator)].tolist()

    def __iter__(self) -> Iterator[tuple[int, int]]:
        position, number = 0, 0
        while position < len(self):
            for image in self.draw_epoch(number):
                yield position, image
                position += 1
                if position == len(self):
                    return
            number += 1


class Collator:
    """
    Collates (position, image) items into `pixel_values` (n, 3, side, side) and soft `targets` (n, classes).

    Args:
        images: what is trained on.
        processor: of the network.
        side: in pixels, to which the images are augmented; may be more than the network's where a teacher sees more.
        staged: leave all but `compressed` to `finish`, which a GPU does: a batch is then the crops as they are, uint8
            and grey, a tenth of the bytes, and the processes that load have little to do.
    """

    def __init__(self, images: TrainingImages, processor, side: int, staged: bool = False):
        self.images, self.processor, self.side, self.staged = images, processor, side, staged
        self.augmentation = images.settings.augmentation

    def __call__(self, items: list[tuple[int, int]]) -> dict[str, Any]:
        first = self.images.settings.seed * 10_000_000_000 + items[0][0]
        by_corpus: dict[int, list[int]] = {}
        for _, image in items:
            corpus = bisect.bisect_right(self.images.starts, image) - 1
            by_corpus.setdefault(corpus, []).append(image - self.images.starts[corpus])
        crops, targets = {}, []
        for corpus, (name, some) in enumerate(self.images.crops.items()):
            if corpus in by_corpus:
                chosen = by_corpus[corpus]
                images = self.drawn(some, chosen, generator_of(first, DETECTED_PART + corpus))
                crops[name] = compressed(images, self.augmentation, generator_of(first, 2 * corpus + 1))
                targets.append(self.images.targets[name][chosen])
        batch = {"crops": crops, "targets": torch.cat(targets), "first": torch.tensor(first)}
        return batch if self.staged else self.finish(batch)

    def drawn(self, crops: Crops, chosen: list[int], generator: torch.Generator) -> Tensor:
        """The chosen images, some of them as our detector crops them, with the settings' probability each."""
        images, share = crops.images[chosen], self.images.settings.detected_share
        if not share or crops.detected is None or crops.detected_at is None:
            return images
        at = crops.detected_at[chosen]
        taken = (at >= 0) & (torch.rand(len(chosen), generator=generator) < share)
        images[taken] = crops.detected[at[taken]]  # a copy: indexing with a list makes one
        return images

    def finish(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """A staged batch → `pixel_values` and `targets`, computed where the crops are."""
        first = int(batch["first"])
        pixels = []
        for corpus, name in enumerate(self.images.crops):
            if name in batch["crops"]:
                generator = generator_of(first, 2 * corpus + 2)
                pixels.append(warped(batch["crops"][name], self.side, self.augmentation, generator))
        images = torch.cat([p.expand(-1, 3, -1, -1) for p in pixels])
        x = self.processor(images, return_tensors="pt", do_resize=False)["pixel_values"]
        return mix_up(x, batch["targets"], self.images.settings, generator_of(first, 0))


def generator_of(first: int, part: int) -> torch.Generator:
    """The source of chance of one part of the batch that begins at position `first`."""
    return torch.Generator().manual_seed(first * 64 + part)


def mix_up(x: Tensor, y: Tensor, settings: TrainingSettings, generator: torch.Generator) -> dict[str, Tensor]:
    """With probability `mixup`, λ·batch + (1 − λ)·shuffled batch, λ from Beta(α, α) (Zhang et al. 2018, eq. 1)."""
    if settings.mixup and torch.rand(1, generator=generator) < settings.mixup:
        seed = int(torch.randint(2**31, (1,), generator=generator))
        share = float(np.random.default_rng(seed).beta(settings.mixup_alpha, settings.mixup_alpha))
        other = torch.randperm(len(x), generator=generator).to(x.device)
        x, y = share * x + (1 - share) * x[other], share * y + (1 - share) * y[other]
    return {"pixel_values": x, "targets": y}
