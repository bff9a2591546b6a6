"""
Several teachers of one student, matched on the very batch that the student sees, augmented and mixed up.

Beyer et al. 2022 ("a good teacher is patient and consistent") call it function matching: what is learnt is the
teachers' function of the pixels, not their opinion of an image, so it goes on for as many epochs as there is time for.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gimefive_hf.emotions import EMOTIONS
from gimefive_hf.image_processing_gimefive import GiMeFiveImageProcessor
from gimefive_hf.loading import load_checkpoint

from ..corpora.crops import LABELS
from .batches import with_neutral
from .teacher_probabilities import shares


class Teacher(nn.Module):
    """One checkpoint with its calibration and views, as a function of the student's normalised batch."""

    def __init__(self, folder: Path, processor: GiMeFiveImageProcessor, classes: int):
        super().__init__()
        if not (folder / "model.safetensors").is_file():
            raise ValueError(f"no teacher in {folder}: it has no model.safetensors")
        model, theirs = load_checkpoint(folder)
        self.network = model.eval().requires_grad_(False)
        names = list(self.network.config.id2label.values())
        if names not in [list(LABELS[:classes]), list(EMOTIONS)]:
            raise ValueError(f"the teacher {folder.name} has the classes {names}; needed: {list(LABELS[:classes])}")
        if theirs.do_grayscale != processor.do_grayscale:
            kinds = ["grey" if p.do_grayscale else "RGB" for p in (theirs, processor)]
            raise ValueError(f"the teacher {folder.name} sees {kinds[0]} images, the run makes {kinds[1]} ones")
        self.side = self.network.config.image_size

        # (x · ours.std + ours.mean − theirs.mean) / theirs.std
        def column(values) -> Tensor:
            return torch.tensor(values).reshape(1, 3, 1, 1)

        our_std, their_std = column(processor.image_std), column(theirs.image_std)
        self.register_buffer("scale", our_std / their_std)
        self.register_buffer("shift", (column(processor.image_mean) - column(theirs.image_mean)) / their_std)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Probabilities (n, classes) of the teacher's own classes."""
        x = resized(pixel_values * self.scale + self.shift, self.side)
        return self.network(x.contiguous(memory_format=torch.channels_last)).logits.float().softmax(1)


class Teachers(nn.Module):
    """
    The weighted mean of several teachers' probabilities.

    Args:
        folders: of the checkpoints.
        weights: one for each teacher, relative to each other; empty for equal ones.
        processor: of the student.
        classes: of the run, 6 or 7. A teacher of six serves seven classes too: it divides what is not neutral.

    Raises:
        ValueError: for a folder that holds no checkpoint, for weights that do not fit, for teachers of other classes,
            of different classes from each other, or of grey instead of colour images.
    """

    def __init__(
        self, folders: Sequence[Path], weights: Sequence[float], processor: GiMeFiveImageProcessor, classes: int
    ):
        super().__init__()
        self.weights = shares(weights, len(folders))
        self.teachers = nn.ModuleList(Teacher(folder, processor, classes) for folder in folders)
        self.classes = classes
        if len({teacher.network.num_labels for teacher in self.teachers}) > 1:
            raise ValueError("the teachers have different classes from each other")
        self.to(memory_format=torch.channels_last)

    @property
    def side(self) -> int:
        """The largest of the teachers' input sides, in pixels."""
        return max(teacher.side for teacher in self.teachers)

    @torch.no_grad()
    def forward(self, pixel_values: Tensor, targets: Tensor) -> Tensor:
        """
        Probabilities (n, classes) for the student's batch; `targets` (n, classes) tell neutral's share where the
        teachers know six classes of seven.
        """
        said = sum(weight * teacher(pixel_values) for weight, teacher in zip(self.weights, self.teachers, strict=True))
        return with_neutral(said, targets) if said.shape[1] < self.classes else said


def resized(x: Tensor, side: int) -> Tensor:
    """Images (n, c, h, h) at another side, antialiased; the very tensor if it has that side."""
    if x.shape[-1] == side:
        return x
    return F.interpolate(x, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
