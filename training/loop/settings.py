"""The settings of one training run: they make the command's flags, validate themselves and are saved with the run."""

# ruff: noqa: RUF009 - described() makes dataclass fields

import argparse
import dataclasses
import json
import types
import typing
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from huggingface_hub.errors import StrictDataclassError

from evaluation.corpora import corpora_with
from gimefive_hf.tables import write_whole

from ..networks.catalogue import NETWORKS
from .augmentation import Augmentation

RECIPES_DIR = Path(__file__).parents[1] / "recipes"
Number = float | int  # JSON writes 1.0 as 1
# Names of before, which files and flags may still use.
RENAMED = {"average_decay": "ema_decay", "fall_share": "decay_fraction"}


def check(holds: Callable[[Any], bool], text: str) -> Callable[[Any], None]:
    """A field's validator: raises ValueError unless the value `holds`, or is None."""

    def validator(value: Any) -> None:
        if value is not None and not holds(value):
            raise ValueError(f"{text}; got {value!r}")

    return validator


SHARE = check(lambda value: 0 <= value <= 1, "must be in [0, 1]")
POSITIVE = check(lambda value: value > 0, "must be positive")
NOT_NEGATIVE = check(lambda value: value >= 0, "must not be negative")
ALL_POSITIVE = check(lambda values: all(value > 0 for value in values), "must be positive numbers")
A_NETWORK = check(lambda name: name in NETWORKS, f"must be one of {', '.join(NETWORKS)}")


def described(default: Any, text: str, *validators: Callable[[Any], None]) -> Any:
    """A dataclass field with its flag's help text and what its value must be."""
    metadata = {"help": text, "validator": list(validators)}
    if isinstance(default, (dict, list)):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@strict
@dataclass
class TrainingSettings:
    """Everything that decides the outcome of a run, and nothing else: no path, no device. See each field's help."""

    # Network
    network: str = described("gimefive-paper", f"one of {', '.join(NETWORKS)}", A_NETWORK)
    network_options: dict[str, Any] = described({}, "further values of GiMeFiveConfig, as JSON")
    classes: Literal[6, 7] = described(6, "6 emotions, or 7 with neutral")
    start: Literal["random", "face-identity", "vgg16", "checkpoint", "widened"] = described(
        "random",
        "first weights: random, face-identity, vgg16 (ImageNet), checkpoint, or widened (a narrower checkpoint's)",
    )
    widening_noise: Number = described(
        0.1, "of start=widened: noise on the weights, relative to their deviation", NOT_NEGATIVE
    )
    frozen_stages: int = described(
        0, "stages, from the input, whose weights are not trained (running statistics go on)"
    )
    # Data
    corpora: dict[str, Number] = described(
        {"raf-db": 1.0}, "images of each corpus per epoch, relative to its size, as JSON"
    )
    held_out: list[str] = described(["raf-db"], "corpora whose validation parts select the model")
    grey: bool = described(True, "read images as grey")
    crop_side: int | None = described(
        None, "resize crops to this side in pixels when read; for corpora of mixed sizes", POSITIVE
    )
    class_exponent: Number = described(0.0, "a class of n images is drawn in proportion to n^(1 - exponent)", SHARE)
    neutral: Literal["drop", "uniform"] = described(
        "drop", "with six classes, neutral faces are dropped, or kept as uniform targets"
    )
    neutral_weight: Number = described(1.0, "neutral faces per epoch, relative to the other classes")
    vote_share: Number = described(
        0.0, "share of FER+ votes in the targets of images that have at least five votes", SHARE
    )
    second_share: Number = described(
        0.0, "share of the second label in the targets of a corpus that has them (NAME_second_labels.csv)", SHARE
    )
    teacher_share: Number = described(
        0.0, "share of other models' probabilities in the targets (Hinton et al. 2015); see --teacher", SHARE
    )
    teacher_weights: list[Number] = described(
        [], "of several teachers, relative to each other; none: all equal", ALL_POSITIVE
    )
    teacher_matching: Literal["stored", "batch"] = described(
        "stored",
        "what the teachers see: stored, each crop as it is, once, before the first step; or batch, what the student "
        "sees, augmented and mixed up (function matching, Beyer et al. 2022)",
    )
    detected_share: Number = described(
        0.0, "probability that an image comes as our detector crops it, where --detected has it so", SHARE
    )
    label_smoothing: Number = described(0.0, "share of the uniform distribution in every target", SHARE)
    # Augmentation, drawn per image unless said otherwise
    flip: bool = described(True, "mirror half of the images")
    rotation: Number = described(15.0, "largest rotation in degrees")
    scale: Number = described(0.15, "largest relative change of size")
    shift: Number = described(0.06, "largest shift, as a share of the side")
    light: Number = described(0.3, "largest relative change of contrast and of brightness")
    erasing: Number = described(0.25, "probability that a rectangle of 13 to 45 % of the side is erased")
    resampling: Number = described(
        0.0, "probability that a batch's images of one corpus are resampled to 36-64 px first"
    )
    blur: Number = described(0.0, "probability that a batch's images of one corpus are blurred")
    jpeg: Number = described(0.0, "probability that an image is saved as JPEG")
    noise: Number = described(0.0, "probability of Gaussian noise")
    mixup: Number = described(0.0, "probability that a batch is mixed up (Zhang et al. 2018)", SHARE)
    mixup_alpha: Number = described(0.2, "of the Beta distribution of mixup", POSITIVE)
    # Optimisation
    steps: int | None = described(None, "optimiser steps; or give epochs", POSITIVE)
    epochs: Number | None = described(None, "over the training images; or give steps", POSITIVE)
    batch_size: int = described(128, "images per step, over all processes", POSITIVE)
    optimizer: Literal["adamw", "adam", "sgd"] = described("adamw", "adamw, adam or sgd (Nesterov momentum 0.9)")
    learning_rate: Number = described(1e-3, "peak learning rate", POSITIVE)
    weight_decay: Number = described(0.05, "of weights with more than one dimension")
    schedule: Literal["wsd", "cosine", "constant"] = described(
        "wsd", "wsd (warm-up, stable, linear decay), cosine or constant, each after warm-up"
    )
    warmup_steps: int = described(300, "steps of linear warm-up", NOT_NEGATIVE)
    decay_fraction: Number = described(0.3, "share of the steps in which wsd decays to zero", SHARE)
    max_gradient_norm: Number = described(5.0, "gradients are clipped to this norm; 0 for no clipping")
    ema_decay: Number = described(
        0.999, "decay of the weights' exponential moving average, which is evaluated and kept; 0 for none", SHARE
    )
    bf16: bool = described(True, "bfloat16 autocast")
    channels_last: bool = described(True, "channels-last memory format")
    # Run
    seed: int = described(0, "of weights, order, augmentation and dropout")
    evaluate_every: int = described(1000, "steps between evaluations on the held-out parts", POSITIVE)
    patience: int | None = described(None, "stop after this many evaluations without a better one", POSITIVE)
    select_by: Literal["accuracy", "recall"] = described(
        "accuracy", "accuracy or recall (mean over classes), averaged over the held-out corpora"
    )
    save_every: int = described(400, "steps between checkpoints that a killed run resumes from", POSITIVE)
    log_every: int = described(50, "steps between rows of the curves", POSITIVE)

    def validate_together(self) -> None:
        """Called by `strict`: what no field tells by itself."""
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

    @property
    def augmentation(self) -> Augmentation:
        """The settings that say how images are augmented."""
        return Augmentation(**{item.name: getattr(self, item.name) for item in dataclasses.fields(Augmentation)})

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def save(self, path: Path) -> None:
        write_whole(path, json.dumps(self.to_dict(), indent=2) + "\n")


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
    return make_settings(by_todays_names(values, path.name) | changes, path.name)


def by_todays_names(values: dict[str, Any], source: str) -> dict[str, Any]:
    """The values with settings of before under their names of today; `source` names where they come from."""
    for name in RENAMED.keys() & values.keys():
        warnings.warn(f"{source}: {name} is called {RENAMED[name]} now", FutureWarning, stacklevel=2)
    return {RENAMED.get(name, name): value for name, value in values.items()}


def make_settings(values: dict[str, Any], source: str) -> TrainingSettings:
    """`TrainingSettings(**values)` with a clear error for unknown keys; `source` names where they come from."""
    import difflib

    values = by_todays_names(values, source)
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
    except StrictDataclassError as error:
        raise ValueError(f"{source}: {reason(error, values)}") from error


def reason(error: StrictDataclassError, values: dict[str, Any]) -> str:
    """What `strict` has against the values, in one line; its own text has several, with the names of Python's types."""
    text, cause = str(error), error.__cause__
    name = next((name for name in values if f"field '{name}'" in text), None)
    if name is None:
        return str(cause)
    if isinstance(cause, ValueError):
        return f"{name} {cause}"
    kind = typing.get_type_hints(TrainingSettings)[name]
    if typing.get_origin(kind) is Literal:
        return f"{name} must be one of {', '.join(map(str, typing.get_args(kind)))}; got {values[name]!r}"
    return f"{name} must be {getattr(kind, '__name__', kind)}; got {values[name]!r}"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """
    One flag per field, without default, so that only what was given overrides the settings file.

    transformers' HfArgumentParser does not serve here: its flags carry the defaults, it takes no union of numbers and
    no JSON object, and a help text with a % breaks it.
    """
    group = parser.add_argument_group("settings", "each overrides the settings file")
    hints = typing.get_type_hints(TrainingSettings)
    for item in dataclasses.fields(TrainingSettings):
        kind = hints[item.name]
        options: dict[str, Any] = {"dest": item.name, "default": argparse.SUPPRESS, "help": item.metadata["help"]}
        names = [item.name, *(old for old, new in RENAMED.items() if new == item.name)]
        if kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        elif typing.get_origin(kind) is dict:
            options |= {"type": json.loads, "metavar": "JSON"}
        elif typing.get_origin(kind) is list:
            of = plain(typing.get_args(kind)[0])
            options |= {"nargs": "+", "type": of, "metavar": "NAME" if of is str else of.__name__.upper()}
        elif typing.get_origin(kind) is Literal:
            choices = typing.get_args(kind)
            options |= {"type": type(choices[0]), "choices": choices}
        else:
            options |= {"type": plain(kind), "metavar": plain(kind).__name__.upper()}
        if "%" in options["help"]:
            options["help"] = options["help"].replace("%", "%%")
        group.add_argument(*(f"--{name.replace('_', '-')}" for name in names), **options)


def plain(kind: Any) -> type:
    """The type that a flag's text is read as: of several the first."""
    return typing.get_args(kind)[0] if isinstance(kind, types.UnionType) else kind


def given_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given as flags."""
    names = {item.name for item in dataclasses.fields(TrainingSettings)}
    changes = {name: value for name, value in vars(args).items() if name in names}
    for one, other in (("steps", "epochs"), ("epochs", "steps")):
        if one in changes and other not in changes:
            changes[other] = None  # one given by flag replaces the other of the file
    return changes
