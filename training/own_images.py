"""
Your own images as a corpus: a folder for each expression, for `gimefive train --images FOLDER --out RUN`.

    FOLDER/happiness/*.jpg  FOLDER/anger/*.png  …     photos, of which the largest face counts; or crops, with --crops
    FOLDER/{train,test}/happiness/*.jpg  …            the same where you have set images aside for testing yourself

Expressions are called as in `readers.folders.NAMES`. The faces are cropped into RUN/images as the detector will crop
them for the trained network; what is left out stands in RUN/left_out.csv with its reason. A network in the package goes
on learning from them: `gimefive-7` where there are neutral faces, else `gimefive`, or what `--weights` says.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from evaluation.calibration import fit_temperature, measure
from evaluation.corpora import SPLITS, Corpus, add_corpus
from gimefive_hf.bundled import resolve_checkpoint
from gimefive_hf.configuration_gimefive import GiMeFiveConfig
from gimefive_hf.faces.cropping import crop_face
from gimefive_hf.faces.detector import FaceDetector
from gimefive_hf.folders.listing import ImageFolder
from gimefive_hf.images.photos import load_image
from gimefive_hf.runtimes.torch_predictor import TorchPredictor
from gimefive_hf.tables import whole_file

from .checkpoints.calibrate import raw_logits, to_model_labels, write_config
from .corpora.crops import LABELS, read_crops
from .corpora.load import prepare_corpus
from .corpora.readers.folders import NAMES, read_class_folders
from .loop.settings import TrainingSettings

NAME = "own"
EXPRESSIONS = {called: name for called, name in NAMES.items() if name in LABELS}
LEAST = 100  # a seventeenth of them chooses the weights, a fifth tests them: fewer tell nothing
LEAST_TO_CALIBRATE = 30  # of fewer held-out images a temperature would be chance
# What suits some hundred images on two cores; a flag changes each of them.
SETTINGS: dict[str, Any] = {
    "corpora": {NAME: 1.0},
    "held_out": [NAME],
    "start": "checkpoint",
    "frozen_stages": 3,
    "epochs": 10,
    "batch_size": 32,
    "learning_rate": 3e-4,
    "warmup_steps": 10,
    "decay_fraction": 0.7,
    "ema_decay": 0.95,
    "label_smoothing": 0.05,
    "evaluate_every": 50,
    "save_every": 100,
    "log_every": 10,
    "bf16": False,
}
# Values of a checkpoint's configuration that are not the network's own: its classes, and what every model has.
NOT_OPTIONS = ("id2label", "label2id", "transformers_version")


def read_collected(files):
    """The faces that `collect_faces` has cropped."""
    official = any(name.startswith("test/") for name in files.names)
    return read_class_folders(files, official=official)


def expression_of(name: str) -> tuple[str, str] | None:
    """Path inside the folder → (part, expression), part "test", "train" or "" for an image anywhere; None: no label."""
    *folders, _ = name.lower().split("/")
    found = next((place for place, folder in enumerate(folders) if folder in EXPRESSIONS), None)
    if found is None:
        return None
    part = next((folder for folder in folders[:found] if folder in ("train", "test")), "")
    return part, EXPRESSIONS[folders[found]]


def collect_faces(folder: Path, out: Path, crops: bool) -> tuple[list[str], list[tuple[str, str]]]:
    """
    Crop the largest face of every labelled image of `folder` into `out`, or copy it if the images are `crops` already.
    Images that stand in `out` from before, of the same file and cropped the same way, are not searched again.

    Returns:
        The expression of each face, and (path, reason) of what is left out.

    Raises:
        ValueError: if there is no such folder, or it holds too few faces, or of fewer than two expressions.
    """
    detector, expressions, left_out, kept = FaceDetector(), [], [], set()
    listed = list(ImageFolder(folder).find())
    parted = any((found := expression_of(name)) and found[0] == "test" for name, _ in listed)
    for name, problem in listed:
        place = expression_of(name)
        if problem or place is None:
            left_out.append((name, problem or f"in no folder called {', '.join(EXPRESSIONS)}"))
            continue
        part, expression = place
        # Quoted, so that no two images of different folders share a name.
        target = out / ((part or "train") if parted else "") / expression / f"{quote(name, safe=' ')}.png"
        try:
            save_face(folder / name, target, None if crops else detector)
        except ValueError as error:
            left_out.append((name, str(error)))
            continue
        kept.add(target)
        expressions.append(expression)
    for gone in set(out.rglob("*.png")) - kept:
        gone.unlink()
    if len(expressions) < LEAST or len(set(expressions)) < 2:
        raise ValueError(
            f"{folder}: expected at least {LEAST} faces of two or more expressions, in folders called "
            f"{', '.join(LABELS)}; found {len(expressions)} of {', '.join(sorted(set(expressions))) or 'none'}"
            + (f", and left out {len(left_out)}, such as {': '.join(left_out[0])}" if left_out else "")
        )
    return expressions, left_out


def save_face(source: Path, target: Path, detector: FaceDetector | None) -> None:
    """
    The largest face of an image, or without a detector all of it, as PNG that tells of which file; one that tells the
    same already is left as it is. Raises ValueError if there is no face.
    """
    state = source.stat()
    origin = f"{state.st_size} bytes of {state.st_mtime_ns}, {'whole' if detector is None else 'searched'}"
    if target.is_file():
        with Image.open(target, formats=["PNG"]) as before:
            if before.info.get("origin") == origin:
                return
    image = load_image(source)
    if detector is not None:
        faces = detector(image)
        if not faces:
            raise ValueError("no face found; if these are crops of faces already, say --crops")
        image = crop_face(image, max(faces, key=lambda face: face.box[2])).image
    target.parent.mkdir(parents=True, exist_ok=True)
    told = PngInfo()
    told.add_text("origin", origin)
    with whole_file(target) as part:
        Image.fromarray(image).save(part, "PNG", pnginfo=told)


def prepare_own(folder: Path, out: Path, crops: bool, cache: Path) -> list[str]:
    """
    `collect_faces` into `out`/images, known as a corpus; prints what became of the images, returns the labels.

    Raises ValueError as `collect_faces` does, and if no image falls to one of the splits.
    """
    expressions, left_out = collect_faces(folder, out / "images", crops)
    with whole_file(out / "left_out.csv") as part, open(part, "w", newline="") as file:
        csv.writer(file).writerows([("file", "reason"), *left_out])
    listed = ", ".join(f"{expressions.count(name)} {name}" for name in LABELS if name in expressions)
    print(f"{len(expressions)} faces: {listed}", flush=True)
    if left_out:
        print(f"{len(left_out)} images are left out; {out / 'left_out.csv'} says why", flush=True)
    add_corpus(Corpus(NAME, read_collected, title="your images"))
    counts = prepare_corpus(NAME, out / "images", cache).counts
    if empty := [split for split in SPLITS if not counts.get(split)]:
        raise ValueError(f"{folder}: too few different images, none falls to {' and '.join(empty)}; add some")
    return expressions


def settings_from(weights: Path) -> dict[str, Any]:
    """
    `SETTINGS` with the network, classes and calibration of a checkpoint, and the side of its input.

    Raises ValueError if the folder holds no checkpoint.
    """
    if not (weights / "config.json").is_file():
        raise ValueError(f"no checkpoint in {weights}: it has no config.json")
    config = GiMeFiveConfig.from_pretrained(weights)
    names = [name for name in GiMeFiveConfig.__annotations__ if name not in NOT_OPTIONS]
    network = "gimefive" if config.architecture == "face-resnet" else "gimefive-paper"
    return SETTINGS | {
        "network": network,
        "network_options": {name: getattr(config, name) for name in names},
        "classes": len(config.id2label),
        "crop_side": config.image_size,
    }


def default_weights(expressions: Sequence[str]) -> Path:
    """The network in the package that knows these expressions."""
    return Path(resolve_checkpoint("gimefive-7" if "neutral" in expressions else "gimefive"))


def logits_and_labels(
    folder: Path, split: str, data: Path, settings: TrainingSettings, cache: Path
) -> tuple[TorchPredictor, Tensor, Tensor]:
    """A checkpoint, and what it says of a split of the images: logits at temperature 1 (n, classes), labels (n,)."""
    crops = read_crops(data, NAME, split, settings.grey, settings.crop_side, cache)
    predictor = TorchPredictor.from_pretrained(folder)
    return predictor, raw_logits(predictor, crops), to_model_labels(crops.labels, predictor.model.config.id2label)


def calibrate(model: Path, data: Path, settings: TrainingSettings, cache: Path) -> str:
    """Fit the checkpoint's temperature to the images held out of the training; says in a line what became of it."""
    predictor, logits, labels = logits_and_labels(model, "validation", data, settings, cache)
    known, before = labels >= 0, predictor.model.config.temperature
    if known.sum() < LEAST_TO_CALIBRATE:
        return f"the temperature stays {before:.2f}: {known.sum()} held-out images are too few to fit it to"
    try:
        temperature = round(fit_temperature([(logits[known], labels[known])]), 4)
    except ValueError:
        return f"the temperature stays {before:.2f}: all or none of the {known.sum()} held-out images are told right"
    write_config(model, temperature=temperature)
    return f"the temperature was {before:.2f} and is {temperature:.2f}, fitted to {known.sum()} held-out images"


def compare(before: Path, after: Path, data: Path, settings: TrainingSettings, cache: Path) -> Iterator[str]:
    """A line for each of two checkpoints about the images set aside for testing, which neither was trained on here."""
    for word, folder in (("before", before), ("after", after)):
        predictor, logits, labels = logits_and_labels(folder, "test", data, settings, cache)
        row = measure({NAME: logits}, {NAME: labels}, predictor.model.config.temperature)[NAME]
        low, high = (100 * value for value in row["accuracy_interval"])
        sure = 100 * row["calibrated"]["mean_confidence"]
        yield (
            f"{word}: {100 * row['accuracy']:.1f} % right [95 % interval {low:.1f}, {high:.1f}] of {row['images']} "
            f"images set aside, on average {sure:.1f} % sure"
        )


assert {item.name for item in fields(TrainingSettings)} >= SETTINGS.keys()
