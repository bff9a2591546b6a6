"""Scores on held-out crops, which select the weights during training."""

import torch
from torch import Tensor

from gimefive_hf.runtimes.predictor import Predictor, predict_crops

from ..corpora.crops import LABELS, NEUTRAL, Crops
from .settings import TrainingSettings


def probabilities(predictor: Predictor, crops: Crops, batch: int = 128) -> Tensor:
    """What a network says of unaugmented crops as it says it to its users, with its own views: (n, classes)."""
    return torch.from_numpy(predict_crops(predictor, crops.pixels, batch))


def accuracy_and_recall(scores: Tensor, labels: Tensor) -> tuple[float, float]:
    """Accuracy and mean recall over the classes that occur, in %; scores (n, classes), labels (n,)."""
    right = (scores.argmax(1) == labels).float()
    recalls = [right[labels == label].mean() for label in labels.unique()]
    return 100 * right.mean().item(), 100 * torch.stack(recalls).mean().item()


def held_out_scores(predictor: Predictor, held_out: dict[str, Crops], settings: TrainingSettings) -> dict[str, float]:
    """
    Accuracy and recall per corpus over the images that have one of the model's labels, and `eval_score`.

    With seven classes also `eval_{name}_six`: accuracy over the six emotions' images with neutral masked.
    """
    scores: dict[str, float] = {}
    selecting: list[float] = []
    for name, crops in held_out.items():
        known = crops.select(crops.labels < settings.classes)
        said = probabilities(predictor, known)
        accuracy, recall = accuracy_and_recall(said, known.labels)
        scores |= {f"eval_{name}_accuracy": accuracy, f"eval_{name}_recall": recall}
        emotional = known.labels < NEUTRAL
        if settings.classes > NEUTRAL and emotional.any():
            six = accuracy_and_recall(said[emotional, :NEUTRAL], known.labels[emotional])
            scores[f"eval_{name}_six"] = six[0]
        selecting.append(accuracy if settings.select_by == "accuracy" else recall)
    return scores | {"eval_score": sum(selecting) / len(selecting)}


assert LABELS[-1] == "neutral"  # so that the first six labels are those of a six-class model
