"""Scores on held-out crops, which select the weights during training."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gimefive_hf import GiMeFiveForImageClassification, GiMeFiveImageProcessor

from ..corpora.crops import LABELS, NEUTRAL, Crops
from .settings import TrainingSettings


def network_inputs(
    processor, crops: Crops, settings: TrainingSettings, device: torch.device, batch: int
) -> Iterator[Tensor]:
    """Unaugmented crops as `pixel_values` (n, 3, side, side), in batches, on the device."""
    for start in range(0, len(crops), batch):
        images = crops.images[start : start + batch].expand(-1, 3, -1, -1)
        x = processor(images, return_tensors="pt")["pixel_values"].to(device)
        yield x.contiguous(memory_format=torch.channels_last) if settings.channels_last else x


@torch.no_grad()
def predict_crops(model, processor, crops: Crops, settings: TrainingSettings, batch: int = 128) -> Tensor:
    """Logits (n, classes) of unaugmented crops, averaged with those of the mirror images."""
    device = next(model.parameters()).device
    rows = []
    for x in network_inputs(processor, crops, settings, device, batch):
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.bf16):
            rows.append((model(x).logits.float() + model(x.flip(-1)).logits.float()).cpu() / 2)
    return torch.cat(rows)


@torch.no_grad()
def teacher_probabilities(
    folder: Path, crops: dict[str, Crops], settings: TrainingSettings, device: torch.device, batch: int = 64
) -> dict[str, Tensor]:
    """
    What the checkpoint in `folder`, with its own calibration and views, says of unaugmented crops: (n, classes) each.

    Raises ValueError if its classes are others than the run's.
    """
    teacher = GiMeFiveForImageClassification.from_pretrained(folder).eval()
    expected = list(LABELS[: settings.classes])
    if list(teacher.config.id2label.values()) != expected:
        raise ValueError(f"the teacher has the classes {list(teacher.config.id2label.values())}; needed: {expected}")
    teacher.to(device, memory_format=torch.channels_last)
    processor = GiMeFiveImageProcessor.from_pretrained(folder)
    said = {}
    for name, some in crops.items():
        rows = []
        for x in network_inputs(processor, some, settings, device, batch):
            with torch.autocast(device.type, torch.bfloat16, enabled=settings.bf16):
                rows.append(teacher(x).logits.float().softmax(1).cpu())
        said[name] = torch.cat(rows)
    return said


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


def accuracy_and_recall(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    """Accuracy and mean recall over the classes that occur, in %; logits (n, classes), labels (n,)."""
    right = (logits.argmax(1) == labels).float()
    recalls = [right[labels == label].mean() for label in labels.unique()]
    return 100 * right.mean().item(), 100 * torch.stack(recalls).mean().item()


def held_out_scores(model, processor, held_out: dict[str, Crops], settings: TrainingSettings) -> dict[str, float]:
    """
    Accuracy and recall per corpus over the images that have one of the model's labels, and `eval_score`.

    With seven classes also `eval_{name}_six`: accuracy over the six emotions' images with neutral masked.
    """
    scores: dict[str, float] = {}
    selecting: list[float] = []
    for name, crops in held_out.items():
        known = crops.select(crops.labels < settings.classes)
        logits = predict_crops(model, processor, known, settings)
        accuracy, recall = accuracy_and_recall(logits, known.labels)
        scores |= {f"eval_{name}_accuracy": accuracy, f"eval_{name}_recall": recall}
        emotional = known.labels < NEUTRAL
        if settings.classes > NEUTRAL and emotional.any():
            six = accuracy_and_recall(logits[emotional, :NEUTRAL], known.labels[emotional])
            scores[f"eval_{name}_six"] = six[0]
        selecting.append(accuracy if settings.select_by == "accuracy" else recall)
    return scores | {"eval_score": sum(selecting) / len(selecting)}


assert LABELS[-1] == "neutral"  # so that the first six labels are those of a six-class model
