"""The networks that can be trained by name: the flagship's, the rows of the paper's Table 2, the slides' VGG16."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from gimefive_hf import EMOTIONS, GiMeFiveConfig, GiMeFiveForImageClassification, GiMeFiveImageProcessor

from ..corpora.crops import LABELS
from .face_identity import IDENTITY_MEAN, IDENTITY_STD, face_resnet_config


@dataclass(frozen=True)
class Network:
    """Values of `GiMeFiveConfig`, the normalisation of the input, and the paper's (or slides') trainable parameters."""

    config: dict[str, Any]
    parameters: int | None = None
    mean: tuple[float, ...] = tuple(IMAGENET_DEFAULT_MEAN)
    std: tuple[float, ...] = tuple(IMAGENET_DEFAULT_STD)


def config_values(config: GiMeFiveConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in ("architecture", "image_size", "widths", "depths", "strides")} | {
        "classifier_widths": config.classifier_widths
    }


FIVE = [64, 128, 256, 512, 1024]
SIX = [*FIVE, 2048]

NETWORKS: dict[str, Network] = {
    # 7×7 heat maps: the last two stages keep their resolution.
    "gimefive": Network(
        config_values(face_resnet_config((1, 2, 2, 1, 1))) | {"classifier_dropout": 0.3},
        mean=IDENTITY_MEAN,
        std=IDENTITY_STD,
    ),
    "gimefive-paper": Network({}, 10_478_086),
    "gimefive-5-bn": Network({"pool_dropout": 0.0, "classifier_dropout": 0.0}, 10_478_086),
    "gimefive-5": Network({"batch_norm": False, "pool_dropout": 0.0, "classifier_dropout": 0.0}, 10_474_118),
    "gimefive-5-bn-se": Network({"se_stages": [0], "pool_dropout": 0.0, "classifier_dropout": 0.0}, 10_478_598),
    "gimefive-4": Network({"widths": FIVE[:4], "classifier_widths": [1024, 512]}, 2_606_086),
    "gimefive-6-bn": Network({"widths": SIX, "classifier_widths": [4096, 2048]}, 41_950_726),
    "gimefive-residual-se": Network(
        {"architecture": "residual", "widths": SIX, "se_stages": [0], "classifier_widths": [4096, 2048]},
        95_051_014,
    ),
    "vgg-paper": Network(
        {
            "widths": FIVE[:3],
            "depths": [2, 2, 2],
            "share_batch_norm": True,
            "pooling": "flatten",
            "classifier_widths": [4096, 1024],
        },
        72_460_742,
    ),
    "resnet18": Network(
        {"architecture": "timm", "timm_model": "resnet18", "classifier_widths": [], "classifier_dropout": 0.0},
        11_179_590,
    ),
    "resnet34": Network(
        {"architecture": "timm", "timm_model": "resnet34", "classifier_widths": [], "classifier_dropout": 0.0},
        21_287_750,
    ),
    # The slides' transfer model. Its count holds with blocks 1-2 frozen and seven classes: see the recipe.
    "vgg16-transfer": Network(
        {
            "image_size": 96,
            "widths": [64, 128, 256, 512, 512],
            "depths": [2, 2, 3, 3, 3],
            "batch_norm": False,
            "pool_dropout": 0.0,
            "classifier_batch_norm": True,
            "classifier_widths": [128],
        },
        14_522_119,
    ),
}


def build_network(name: str, classes: int, frozen_stages: int = 0, **options: Any):
    """
    A fresh (model, processor) pair of the name in `NETWORKS`; `options` are further values of `GiMeFiveConfig`.

    Raises ValueError for an unknown or wrong option and for more frozen stages than there are.
    """
    network = NETWORKS[name]
    unknown = [key for key in options if key not in GiMeFiveConfig.__annotations__]
    if unknown:
        raise ValueError(
            f"GiMeFiveConfig has no {', '.join(unknown)}; it has {', '.join(GiMeFiveConfig.__annotations__)}"
        )
    labels = LABELS if classes == len(LABELS) else EMOTIONS
    names = {"id2label": dict(enumerate(labels)), "label2id": {label: index for index, label in enumerate(labels)}}
    try:
        config = GiMeFiveConfig(**network.config | options, **names)
    except StrictDataclassError as error:  # which is no ValueError, though it wraps one
        reason = str(error).splitlines()[-1].strip().removeprefix("ValueError: ")
        raise ValueError(f"network_options: {reason}") from error
    model = GiMeFiveForImageClassification(config)
    if frozen_stages > len(model.gimefive.stages):
        raise ValueError(f"{name} has {len(model.gimefive.stages)} stages; got frozen_stages={frozen_stages}")
    for stage in model.gimefive.stages[:frozen_stages]:
        stage.requires_grad_(False)
    size = {"height": config.image_size, "width": config.image_size}
    return model, GiMeFiveImageProcessor(size=size, image_mean=network.mean, image_std=network.std)


def trainable_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


@torch.no_grad()
def load_vgg16(model: GiMeFiveForImageClassification, path: Path) -> None:
    """
    Put torchvision's VGG16 convolutions (`vgg16-397923af.pth`, ImageNet; or safetensors) into a network of its shape.

    Raises ValueError if the file does not hold thirteen convolutions of the network's shapes.
    """
    from safetensors.torch import load_file

    weights = load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)
    names = sorted(
        (name for name in weights if name.startswith("features.") and weights[name].ndim == 4),
        key=lambda name: int(name.split(".")[1]),
    )
    convs = [conv for stage in model.gimefive.stages for conv in getattr(stage, "convs", [])]
    shapes = [tuple(weights[name].shape) for name in names], [tuple(conv.weight.shape) for conv in convs]
    if shapes[0] != shapes[1]:
        raise ValueError(f"{path.name} holds convolutions of shapes {shapes[0]}; the network expects {shapes[1]}")
    for name, conv in zip(names, convs, strict=True):
        conv.weight.copy_(weights[name])
        conv.bias.copy_(weights[name.replace("weight", "bias")])


def load_checkpoint(model: GiMeFiveForImageClassification, folder: Path) -> None:
    """
    Put the weights of a checkpoint into `model`, in place.

    Only the last linear layer may differ: where the six emotions become seven classes, its first six rows are the
    checkpoint's and neutral's is zero, so that the six are told apart as before; otherwise it keeps its fresh weights.

    Raises ValueError, naming the first differences, if the checkpoint is of another architecture.
    """
    from safetensors.torch import load_file

    path = folder / "model.safetensors"
    if not path.is_file():
        raise ValueError(f"no checkpoint in {folder}: it has no model.safetensors")
    theirs, ours = load_file(path), model.state_dict()
    last = f"classifier.{len(model.classifier) - 1}."
    differences = [
        f"{name} is missing" for name in ours if name not in theirs and not name.endswith("num_batches_tracked")
    ]
    differences += [f"{name} has no place" for name in theirs if name not in ours]
    differences += [
        f"{name} is {tuple(theirs[name].shape)} instead of {tuple(ours[name].shape)}"
        for name in ours
        if name in theirs and theirs[name].shape != ours[name].shape and not name.startswith(last)
    ]
    if differences:
        raise ValueError(
            f"the checkpoint {folder.name} is of another architecture than the network: {len(differences)} tensors "
            f"differ, such as {'; '.join(differences[:3])}"
        )
    for name in (f"{last}weight", f"{last}bias"):
        if (len(theirs[name]), len(ours[name])) == (len(EMOTIONS), len(LABELS)):
            theirs[name] = torch.cat([theirs[name], torch.zeros_like(theirs[name][:1])])
    model.load_state_dict({name: t for name, t in theirs.items() if t.shape == ours[name].shape}, strict=False)
