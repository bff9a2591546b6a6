"""What teachers said of the training crops, once, before the first step: computed, or out of a file."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gimefive_hf.runtimes.torch_predictor import TorchPredictor

from ..corpora.crops import LABELS, NEUTRAL, Crops
from .held_out import probabilities
from .settings import TrainingSettings


def mean_probabilities(
    folders: Sequence[Path], crops: dict[str, Crops], settings: TrainingSettings, device: torch.device
) -> dict[str, Tensor]:
    """The mean over several teachers by `settings.teacher_weights`, (n, classes) for each corpus."""
    weights = shares(settings.teacher_weights, len(folders))
    mean: dict[str, Tensor] = {}
    for weight, folder in zip(weights, folders, strict=True):
        for name, said in teacher_probabilities(folder, crops, settings, device).items():
            mean[name] = mean[name] + weight * said if name in mean else weight * said
    return mean


def shares(weights: Sequence[float], teachers: int) -> list[float]:
    """One share for each teacher, of sum 1; equal ones without weights. Raises ValueError if the numbers differ."""
    if weights and len(weights) != teachers:
        raise ValueError(f"teacher_weights has {len(weights)} numbers for {teachers} teachers")
    return [weight / sum(weights) for weight in weights] if weights else [1 / teachers] * teachers


def teacher_probabilities(
    folder: Path, crops: dict[str, Crops], settings: TrainingSettings, device: torch.device, batch: int = 64
) -> dict[str, Tensor]:
    """
    What the checkpoint in `folder`, with its own calibration and views, says of unaugmented crops: (n, classes) each.

    Raises ValueError if its classes are others than the run's.
    """
    teacher = TorchPredictor.from_pretrained(folder)
    expected = list(LABELS[: settings.classes])
    if list(teacher.emotions) != expected:
        raise ValueError(f"the teacher has the classes {list(teacher.emotions)}; needed: {expected}")
    teacher.model.to(device, memory_format=torch.channels_last)
    teacher.autocast = settings.bf16
    return {name: probabilities(teacher, some, batch) for name, some in crops.items()}


def stored_probabilities(path: Path, crops: dict[str, Crops], classes: int) -> dict[str, Tensor]:
    """
    A teacher's probabilities out of an npz file: for each of its corpora (n, 6) or (n, classes) rows, in the order of
    `read_crops(…, "train")`. A corpus that it lacks has no teacher.

    Raises ValueError for a file that does not fit the crops or holds no probabilities.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            stored = {name: torch.from_numpy(file[name].astype(np.float32)) for name in file.files if name in crops}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path.name} cannot be read as an npz file of probabilities: {error}") from error
    if not stored:
        raise ValueError(f"{path.name} has none of the corpora {', '.join(crops)}")
    for name, said in stored.items():
        if said.ndim != 2 or len(said) != len(crops[name]) or said.shape[1] not in (NEUTRAL, classes):
            raise ValueError(
                f"{path.name} holds {tuple(said.shape)} for {name}; expected {len(crops[name])} rows of {NEUTRAL}"
                + (f" or {classes}" if classes != NEUTRAL else "")
            )
        if not torch.isfinite(said).all() or said.min() < 0 or (said.sum(1) - 1).abs().max() > 0.01:
            raise ValueError(f"{path.name}: the rows for {name} are no probabilities; each must sum to 1")
    return {name: said / said.sum(1, keepdim=True) for name, said in stored.items()}
