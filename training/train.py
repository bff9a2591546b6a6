"""
Train a network by a settings file, by flags, or by both (a flag overrides the file).

    gimefive train --recipe flagship --data DIR --identity package/model --out runs/flagship
    gimefive train --images FOLDER --out runs/mine     # your own; see training/own_images.py
    gimefive train --recipe paper-raf-db --network gimefive-6-bn --data DIR --out runs/six-blocks
    accelerate launch --multi_gpu --num_processes 2 -m training.train --recipe FILE.json --data DIR --out DIR

(accelerate's `--multi_gpu` is its name for several processes: without a GPU they share the processor's cores.)

The same command goes on where a killed run stopped, with the result of an unbroken one. `--out` then holds
`settings.json`, `run.json` (versions, commit, counts, time), `curves.csv`, `curves.png` and, at the end, `model/`: the
best averaged weights on the held-out images, ready for `from_pretrained` and for `training.checkpoints.calibrate`.
"""

import argparse
import json
import math
import shutil
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import PartialState
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import logging as transformers_logging
from transformers import set_seed

from gimefive_hf.bundled import resolve_checkpoint
from gimefive_hf.tables import write_whole

from .corpora.crops import Crops, read_crops, with_second
from .corpora.second_labels import read_second_labels, second_labels_of
from .detected_crops import with_detected
from .loop.batches import Collator, TrainingImages, usable, used
from .loop.checkpoints import DIGESTS, kept_best, newest_whole_checkpoint
from .loop.disk import clear_disk_errors, require_space
from .loop.paths import RunPaths, add_paths, paths_of
from .loop.run_folder import only_run, settle, start_record
from .loop.settings import TrainingSettings, add_flags, given_settings, make_settings, read_settings
from .loop.teacher_probabilities import mean_probabilities, stored_probabilities
from .loop.teachers import Teachers
from .loop.trainer import ExpressionTrainer, training_arguments
from .networks.catalogue import build_network, load_checkpoint, load_vgg16
from .networks.widening import load_widened
from .own_images import calibrate, compare, default_weights, prepare_own, settings_from
from .script import Script

TEACHER_PROBABILITIES = "teacher_probabilities.safetensors"
IDENTITY_CROPS = 512  # on which the start from face-identity weights measures its batch norms


def read_split(settings: TrainingSettings, paths: RunPaths, names: Iterable[str], split: str) -> dict[str, Crops]:
    """The corpora's crops. With several processes the first fills the cache, the others wait for it."""
    with PartialState().main_process_first():
        crops = {
            name: read_crops(paths.data, name, split, settings.grey, settings.crop_side, paths.cache) for name in names
        }
    if split == "train" and settings.detected_share:
        crops = add_detected(crops, paths.detected)
    return add_second_labels(crops, paths.data) if settings.second_share and split == "train" else crops


def add_detected(crops: dict[str, Crops], folder: Path | None) -> dict[str, Crops]:
    """The corpora's crops with the variants that our detector cut. Raises ValueError if none has any."""
    if folder is None:
        raise ValueError("detected_share needs --detected, the folder that training.detected_crops has written")
    found = {name: with_detected(some, folder, name) for name, some in crops.items()}
    if all(some.detected is None for some in found.values()):
        raise ValueError(f"{folder} has crops of none of {', '.join(crops)}; see training.detected_crops")
    return found


def add_second_labels(crops: dict[str, Crops], data: Path) -> dict[str, Crops]:
    """Second labels for the corpora that have them. Raises ValueError if none has, or if they do not fit theirs."""
    told = {
        name: with_second(some, read_second_labels(data, name, some.sources))
        for name, some in crops.items()
        if second_labels_of(data, name).is_file()
    }
    if not told:
        raise ValueError(f"second_share needs second labels of one of {', '.join(crops)}: NAME_second_labels.csv")
    return crops | told


def start_weights(model, processor, settings: TrainingSettings, paths: RunPaths, crops: dict[str, Crops]) -> None:
    """Put the weights that `settings.start` names into the fresh network."""
    if settings.start == "random":
        return
    if settings.start == "face-identity":
        from .networks.face_identity import load_face_identity

        if paths.identity is None:
            raise ValueError(
                "start='face-identity' needs --identity, the folder of the weights (training/networks/face_identity.py)"
            )
        images = next(iter(crops.values())).images[:IDENTITY_CROPS].expand(-1, 3, -1, -1)
        load_face_identity(model, paths.identity, processor(images, return_tensors="pt")["pixel_values"])
        return
    if paths.weights is None:
        raise ValueError(f"start={settings.start!r} needs --weights, a file (vgg16) or the folder of a checkpoint")
    if settings.start == "widened":
        load_widened(model, paths.weights, settings.widening_noise, torch.Generator().manual_seed(settings.seed))
        return
    load = load_vgg16 if settings.start == "vgg16" else load_checkpoint
    load(model, paths.weights)


def read_teachers(settings: TrainingSettings, paths: RunPaths, crops: dict[str, Crops]) -> dict[str, Tensor] | None:
    """The teachers' probabilities for the training crops: given, or computed and kept, for they take minutes."""
    if not settings.teacher_share or settings.teacher_matching == "batch":
        return None
    if paths.probabilities is not None:
        return stored_probabilities(paths.probabilities, crops, settings.classes)
    path = paths.out / TEACHER_PROBABILITIES
    with PartialState().main_process_first():
        if not path.is_file():
            partial = path.with_suffix(".partial")
            with clear_disk_errors(partial):
                said = mean_probabilities(paths.teacher, crops, settings, PartialState().device)
                save_file(said, partial)
                partial.rename(path)
        return load_file(path)


def matched_teachers(settings: TrainingSettings, paths: RunPaths, processor) -> Teachers | None:
    """The teachers that see every batch, or None where there are none."""
    if not settings.teacher_share or settings.teacher_matching == "stored":
        return None
    return Teachers(paths.teacher, settings.teacher_weights, processor, settings.classes)


def check_teachers(settings: TrainingSettings, paths: RunPaths) -> None:
    """Raise ValueError where what the settings say of teachers and what the command line gives do not fit."""
    given = [name for name, value in (("--teacher", paths.teacher), ("--probabilities", paths.probabilities)) if value]
    if settings.teacher_share and len(given) != 1:
        raise ValueError(
            "teacher_share needs --teacher, the folders of checkpoints with the same classes, or --probabilities, a "
            f"file of what teachers said of the training crops, and not both; got {' and '.join(given) or 'neither'}"
        )
    if given and not settings.teacher_share:
        raise ValueError(f"{given[0]} needs a teacher_share above 0")
    if paths.probabilities is not None and settings.teacher_matching == "batch":
        raise ValueError("teacher_matching='batch' needs --teacher: stored --probabilities know no augmented image")


def count_steps(settings: TrainingSettings, images: TrainingImages) -> int:
    """Steps of the run; an epoch has as many images as are drawn on average."""
    if settings.steps is not None:
        return settings.steps
    assert settings.epochs is not None  # one of the two is given; the settings see to it
    return max(1, math.ceil(settings.epochs * float(images.weights().sum()) / settings.batch_size))


def prepare(settings: TrainingSettings, paths: RunPaths) -> tuple[ExpressionTrainer, dict]:
    """Read the images, build the network, and return the trainer and the start of `run.json`."""
    check_teachers(settings, paths)
    settle(settings, paths.out)
    set_seed(settings.seed)
    model, processor = build_network(
        settings.network, settings.classes, settings.frozen_stages, **settings.network_options
    )
    teachers = matched_teachers(settings, paths, processor)
    side = max(model.config.image_size, teachers.side if teachers else 0)
    require_space(paths.out, model)
    train = read_split(settings, paths, settings.corpora, "train")
    held_out = read_split(settings, paths, settings.held_out, "validation")
    start_weights(model, processor, settings, paths, train)
    if settings.channels_last:
        model = model.to(memory_format=torch.channels_last)
    said = read_teachers(settings, paths, train)
    said = said and {name: of_all[used(train[name], settings)] for name, of_all in said.items()}
    train = {name: usable(c, settings) for name, c in train.items()}
    images = TrainingImages(train, settings, 0, said)
    steps = count_steps(settings, images)
    images.length = steps * settings.batch_size
    record = start_record(settings, model, images, held_out, steps)
    batches = Collator(images, processor, side, staged=torch.cuda.is_available() and not paths.cpu)
    trainer = ExpressionTrainer(
        settings,
        held_out,
        batches,
        teachers,
        model=model,
        args=training_arguments(settings, steps, paths.out, paths.workers, paths.cpu),
        train_dataset=images,
        data_collator=batches,
        processing_class=processor,
    )
    return trainer, record


def finish(trainer: ExpressionTrainer, out: Path, record: dict) -> dict:
    """Copy the best weights to `model/` and write `run.json`."""
    folder = kept_best(out)
    assert folder is not None  # the last step was evaluated, whatever came before
    scored = [entry for entry in trainer.state.log_history if "eval_score" in entry]
    best = next(entry for entry in scored if folder.name == f"best-{entry['step']}")
    partial = out / "model.partial"
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(folder, partial, ignore=shutil.ignore_patterns(DIGESTS))
    shutil.rmtree(out / "model", ignore_errors=True)
    partial.rename(out / "model")
    record |= {
        "finished_step": trainer.state.global_step,
        "seconds": trainer.progress.seconds(),
        "best_step": best["step"],
        "held_out": {key.removeprefix("eval_"): value for key, value in best.items() if key.startswith("eval_")},
    }
    write_whole(out / "run.json", json.dumps(record, indent=1) + "\n")
    return record


def train(settings: TrainingSettings, paths: RunPaths) -> dict:
    """
    Train, or go on training, and return what `run.json` holds: best step, its held-out scores in %, counts, time.

    Raises ValueError for settings that do not fit (each other, the folder, the weights), for a folder that another
    process trains into, and for unreadable images,
    FileNotFoundError for a missing corpus, FloatingPointError for a loss that is not finite, OSError for a full disk.
    """
    PartialState(cpu=paths.cpu or not torch.cuda.is_available())  # joins the other processes, if there are any
    with only_run(paths.out):
        return train_alone(settings, paths)


def train_alone(settings: TrainingSettings, paths: RunPaths) -> dict:
    """`train`, in a folder that no other run writes to."""
    trainer, record = prepare(settings, paths)
    start = newest_whole_checkpoint(paths.out)
    if trainer.is_world_process_zero():
        print(json.dumps(record), flush=True)
        if start:
            print(f"going on from {start.name}", flush=True)
    trainer.train(resume_from_checkpoint=str(start) if start else None)
    trainer.evaluate_last()
    return finish(trainer, paths.out, record) if trainer.is_world_process_zero() else record


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All flags of the command, which is also `gimefive train`."""
    add_paths(parser)
    parser.add_argument(
        "--images",
        type=Path,
        metavar="FOLDER",
        help="in the place of --data and --recipe: go on from a network in the package (or --weights) with your own "
        "photos, in a folder for each expression",
    )
    parser.add_argument("--crops", action="store_true", help="of --images: they are cropped faces already")
    parser.add_argument("--recipe", type=Path, help="settings file, or the name of one in training/recipes")
    parser.add_argument("--push-to", metavar="REPO", help="push the model to this repository of the Hub afterwards")
    parser.add_argument("--private", action="store_true", help="of --push-to: make the repository private")
    add_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Train as `add_arguments`' flags say; exit code 0. Raises ValueError and OSError for what a user must mend."""
    transformers_logging.set_verbosity_error()  # the Trainer's own warnings are about things decided here
    transformers_logging.disable_progress_bar()
    settings, paths = settings_and_paths(args)
    try:
        record = train(settings, paths)
    except FloatingPointError as error:
        raise ValueError(error) from error
    if PartialState().is_main_process:
        print(json.dumps({key: record[key] for key in ("best_step", "held_out")}))
        if args.images:
            assert paths.weights and paths.cache  # settings_and_paths has found them
            images = paths.data, settings, paths.cache
            print(calibrate(paths.out / "model", *images))
            print(*compare(paths.weights, paths.out / "model", *images), sep="\n")
        if args.push_to:  # what is calibrated now
            from gimefive_hf.publishing.models import push

            print(push(paths.out / "model", args.push_to, private=args.private))
    return 0


def settings_and_paths(args: argparse.Namespace) -> tuple[TrainingSettings, RunPaths]:
    """What the flags ask for. Raises ValueError for flags that do not fit, and as `prepare_own` does."""
    changes, paths = given_settings(args), paths_of(args)
    if args.images is None:
        if args.crops or args.data is None:
            raise ValueError("expected --data DIR, or --images FOLDER for your own images, which may be --crops")
        return read_settings(args.recipe, **changes) if args.recipe else make_settings(changes, "flags"), paths
    if args.data or args.recipe:
        raise ValueError("--images brings data and settings; leave out --data and --recipe, flags change single ones")
    cache = paths.cache or paths.out / "cache"
    expressions = prepare_own(args.images, paths.out, args.crops, cache)
    weights = Path(resolve_checkpoint(paths.weights)) if paths.weights else default_weights(expressions)
    settings = make_settings(settings_from(weights) | changes, "flags")
    return settings, replace(paths, data=paths.out / "images", weights=weights, cache=cache)


def main(argv: list[str] | None = None) -> int:
    parser = Script("training.train", __doc__)
    add_arguments(parser)
    return parser.run(run, argv)


if __name__ == "__main__":
    sys.exit(main())
