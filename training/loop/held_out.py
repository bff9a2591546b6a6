"""Scores on held-out crops, which select the weights during training."""

from collections.abc import Iterator

import torch
from torch import Tensor

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
