"""The settings of one training run: they make the command's flags, validate themselves and are saved with the run."""

# ruff: noqa: RUF009 - described() makes dataclass fields

import argparse
import dataclasses
import json
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluation.corpora import corpora_with
from gimefive_hf.tables import write_whole

from ..networks.catalogue import NETWORKS
from .augmentation import Augmentation

RECIPES_DIR = Path(__file__).parents[1] / "recipes"


def described(default: Any, text: str) -> Any:
    """A dataclass field with its flag's help text."""
    if isinstance(default, (dict, list)):
        return field(default_factory=lambda: type(default)(default), metadata={"help": text})
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class TrainingSettings:
    """Everything that decides the outcome of a run, and nothing else: no path, no device. See each field's help."""

    # Network
    network: str = described("gimefive-paper", f"one of {', '.join(NETWORKS)}")
    network_options: dict[str, Any] = described({}, "further values of GiMeFiveConfig, as JSON")
    classes: int = described(6, "6 emotions, or 7 with neutral")
    start: str = described(
        "random",
        "first weights: random, face-identity, vgg16 (ImageNet), checkpoint, or widened (a narrower checkpoint's)",
    )
    widening_noise: float = described(0.1, "of start=widened: noise on the weights, relative to their deviation")
    frozen_stages: int = described(
        0, "stages, from the input, whose weights are not trained (running statistics go on)"
    )
    # Data
    corpora: dict[str, float] = described(
        {"raf-db": 1.0}, "images of each corpus per pass, relative to its size, as JSON"
    )
    held_out: list[str] = described(["raf-db"], "corpora whose validation parts select the model")
    grey: bool = described(True, "read images as grey")
    crop_side: int | None = described(None, "resize crops to this side in pixels when read; for corpora of mixed sizes")
    class_exponent: float = described(0.0, "a class of n images is drawn in proportion to n^(1 - exponent)")
    neutral: str = described("drop", "with six classes, neutral faces are dropped, or kept as uniform targets")
    neutral_weight: float = described(1.0, "neutral faces per pass, relative to the other classes")
    vote_share: float = described(0.0, "share of FER+ votes in the targets of images that have at least five votes")
    second_share: float = described(
        0.0, "share of the second label in the targets of a corpus that has them (NAME_second_labels.csv)"
    )
    teacher_share: float = described(
        0.0, "share of other models' probabilities in the targets (Hinton et al. 2015); see --teacher"
    )
    teacher_weights: list[float] = described([], "of several teachers, relative to each other; none: all equal")
    teacher_matching: str = described(
        "stored",
        "what the teachers see: stored, each crop as it is, once, before the first step; or batch, what the student "
        "sees, augmented and mixed up (function matching, Beyer et al. 2022)",
    )
    label_smoothing: float = described(0.0, "share of the uniform distribution in every target")
    # Augmentation, drawn per image unless said otherwise
    flip: bool = described(True, "mirror half of the images")
    rotation: float = described(15.0, "largest rotation in degrees")
    scale: float = described(0.15, "largest relative change of size")
    shift: float = described(0.06, "largest shift, as a share of the side")
    light: float = described(0.3, "largest relative change of contrast and of brightness")
    erasing: float = described(0.25, "probability that a rectangle of 13 to 45 % of the side is erased")
    resampling: float = described(
        0.0, "probability that a batch's images of one corpus are resampled to 36-64 px first"
    )
    blur: float = described(0.0, "probability that a batch's images of one corpus are blurred")
    jpeg: float = described(0.0, "probability that an image is saved as JPEG")
    noise: float = described(0.0, "probability of Gaussian noise")
    mixup: float = described(0.0, "probability that a batch is mixed up (Zhang et al. 2018)")
    mixup_alpha: float = described(0.2, "of the Beta distribution of mixup")
    # Optimisation
    steps: int | None = described(None, "optimiser steps; or give epochs")
    epochs: float | None = described(None, "passes over the training images; or give steps")
    batch_size: int = described(128, "images per step, over all processes")
    optimizer: str = described("adamw", "adamw, adam or sgd (Nesterov momentum 0.9)")
    learning_rate: float = described(1e-3, "peak learning rate")
    weight_decay: float = described(0.05, "of weights with more than one dimension")
    schedule: str = described("wsd", "wsd (warm-up, stable, linear fall), cosine or constant, each after warm-up")
    warmup_steps: int = described(300, "steps of linear warm-up")
    fall_share: float = described(0.3, "share of the steps in which wsd falls to zero")
    max_gradient_norm: float = described(5.0, "gradients are clipped to this norm; 0 for no clipping")
    average_decay: float = described(0.999, "decay of the averaged weights, which are evaluated and kept; 0 for none")
    bf16: bool = described(True, "bfloat16 autocast")
    channels_last: bool = described(True, "channels-last memory format")
    # Run
    seed: int = described(0, "of weights, order, augmentation and dropout")
    evaluate_every: int = described(1000, "steps between evaluations on the held-out parts")
    patience: int | None = described(None, "stop after this many evaluations without a better one")
    select_by: str = described("accuracy", "accuracy or recall (mean over classes), averaged over the held-out corpora")
    save_every: int = described(400, "steps between checkpoints that a killed run resumes from")
    log_every: int = described(50, "steps between rows of the curves")

    def __post_init__(self) -> None:
        for name, kind in typing.get_type_hints(type(self)).items():
            check_type(name, getattr(self, name), kind)
        choices = {
            "network": tuple(NETWORKS),
            "classes": (6, 7),
            "start": ("random", "face-identity", "vgg16", "checkpoint", "widened"),
            "teacher_matching": ("stored", "batch"),
            "neutral": ("drop", "uniform"),
            "optimizer": ("adamw", "adam", "sgd"),
            "schedule": ("wsd", "cosine", "constant"),
            "select_by": ("accuracy", "recall"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(map(str, allowed))}; got {getattr(self, name)!r}")
        for what, names, known in (
            ("corpora", tuple(self.corpora), corpora_with(train=True)),
            ("held_out", tuple(self.held_out), corpora_with(select=True)),
        ):
            unknown = [name for name in names if name not in known]
            if unknown or not names:
                got = ", ".join(unknown) or "none"
                raise ValueError(f"{what} must name at least one of {', '.join(known)}, and no other; got {got}")
        if (self.steps is None) == (self.epochs is None):
            raise ValueError(f"give either steps or epochs; got steps={self.steps}, epochs={self.epochs}")
        self.augmentation  # noqa: B018 - checks its own values
        shares = (
            "class_exponent",
            "vote_share",
            "second_share",
            "teacher_share",
            "label_smoothing",
            "mixup",
            "fall_share",
        )
        for name in (*shares, "average_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1]; got {getattr(self, name)}")
        if self.widening_noise < 0 or any(not isinstance(w, (int, float)) or w <= 0 for w in self.teacher_weights):
            raise ValueError(
                "widening_noise must not be negative and teacher_weights must be positive numbers; got "
                f"{self.widening_noise} and {self.teacher_weights}"
            )
        positive = ("steps", "epochs", "batch_size", "learning_rate", "mixup_alpha", "patience", "crop_side")
        for name in (*positive, "evaluate_every", "save_every", "log_every"):
            if getattr(self, name) is not None and getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive; got {getattr(self, name)}")

    @property
    def augmentation(self) -> Augmentation:
        """The settings that say how images are augmented."""
        return Augmentation(**{item.name: getattr(self, item.name) for item in dataclasses.fields(Augmentation)})

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def save(self, path: Path) -> None:
        write_whole(path, json.dumps(self.to_dict(), indent=2) + "\n")


def check_type(name: str, value: Any, kind: Any) -> None:
    """Raise ValueError unless `value` has the annotated type; whole numbers pass as floats, True and False do not."""
    allowed = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    allowed = tuple(typing.get_origin(a) or a for a in allowed)
    if float in allowed:
        allowed += (int,)
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        raise ValueError(
            f"{name} must be {kind if isinstance(kind, types.UnionType) else kind.__name__}; got {value!r}"
        )


def read_settings(path: Path, **changes: Any) -> TrainingSettings:
    """
    Settings out of a JSON file, with some changed. `path` may be the bare name of a file in `training/recipes`.

    Raises ValueError for a file that is no JSON object and for an unknown key, naming the nearest known ones.
    """
    if not path.is_file() and (RECIPES_DIR / f"{path}.json").is_file():
        path = RECIPES_DIR / f"{path}.json"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in RECIPES_DIR.glob("*.json")))
        raise ValueError(f"no settings file {path}; give a JSON file or one of the recipes {known}")
    try:
        values = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path.name} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path.name} must hold one JSON object; got {type(values).__name__}")
    values = {key: value for key, value in values.items() if key != "comment"}
    return make_settings(values | changes, path.name)


def make_settings(values: dict[str, Any], source: str) -> TrainingSettings:
    """`TrainingSettings(**values)` with a clear error for unknown keys; `source` names where they come from."""
    import difflib

    known = [item.name for item in dataclasses.fields(TrainingSettings)]
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known keys are {', '.join(known)}"
            raise ValueError(f"{source}: unknown key {key!r}; {hint}")
    if "steps" in values and values["steps"] is not None and "epochs" not in values:
        values = values | {"epochs": None}
    try:
        return TrainingSettings(**values)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error


def add_flags(parser: argparse.ArgumentParser) -> None:
    """One flag per field, without default, so that only what was given overrides the settings file."""
    group = parser.add_argument_group("settings", "each overrides the settings file")
    hints = typing.get_type_hints(TrainingSettings)
    for item in dataclasses.fields(TrainingSettings):
        kind = hints[item.name]
        options: dict[str, Any] = {"dest": item.name, "default": argparse.SUPPRESS, "help": item.metadata["help"]}
        if kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        elif typing.get_origin(kind) is dict:
            options |= {"type": json.loads, "metavar": "JSON"}
        elif typing.get_origin(kind) is list:
            of = typing.get_args(kind)[0]
            options |= {"nargs": "+", "type": of, "metavar": "NAME" if of is str else of.__name__.upper()}
        else:
            plain = typing.get_args(kind)[0] if isinstance(kind, types.UnionType) else kind
            options |= {"type": plain, "metavar": plain.__name__.upper()}
        if "%" in options["help"]:
            options["help"] = options["help"].replace("%", "%%")
        group.add_argument(f"--{item.name.replace('_', '-')}", **options)


def given_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given as flags."""
    names = {item.name for item in dataclasses.fields(TrainingSettings)}
    changes = {name: value for name, value in vars(args).items() if name in names}
    for one, other in (("steps", "epochs"), ("epochs", "steps")):
        if one in changes and other not in changes:
            changes[other] = None  # one given by flag replaces the other of the file
    return changes
