"""
Put a trained checkpoint into the package, as the one that a short name stands for.

    python -m training.checkpoints.bundle runs/flagship/model --name gimefive --onnx
    python -m training.checkpoints.bundle runs/gimefive-fast/model --name gimefive-fast --int8 --data DIR
    python -m training.checkpoints.bundle --onnx-only --name gimefive

`--onnx` puts an ONNX file beside the weights, which the commands then take because it needs no torch; `--int8` one in
int8, the ranges of whose activations are taken from training images of the corpora in DIR; `--onnx-only` makes the file
of a checkpoint that is in the package already.

What it was trained on, the run's settings tell; they go into `trained_on.json`. Matrices are stored in half precision,
which halves what every clone carries; the config says float32, to which they are widened when loaded. The code beside
the weights is a link to the package's own.

Afterwards `python -m tests.cases.golden_networks` stores what the new network says, for the tests.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from gimefive_hf.loading import load_checkpoint
from gimefive_hf.runtimes.export import export_onnx
from gimefive_hf.runtimes.torch_predictor import TorchPredictor

from ..corpora.crops import read_crops
from ..measuring.scorers import TRAINED_ON, describe
from ..script import Script
from .sums import write_sums

CHECKPOINTS = Path(__file__).parents[2] / "gimefive_hf" / "checkpoints"
CODE = (
    "bundled.py",
    "configuration_gimefive.py",
    "emotions.py",
    "image_processing_gimefive.py",
    "modeling_gimefive.py",
)
# What tells where the figures in the config come from.
RECORDS = ("calibration.json", "reliability.png")
# How the run went that the checkpoint is the outcome of: its card tells it.
RUN_RECORDS = ("settings.json", "run.json")
ONNX = "model.onnx"
MAX_BYTES = 25_000_000
CALIBRATION = {"raf-db": 256, "fer2013": 256, "affectnet": 256}  # training images, spread evenly over the split


def bundle(checkpoint: Path, name: str) -> Path:
    """Store `checkpoint` as `name`; returns the folder. Raises ValueError for none, and for too large weights."""
    model, processor = read_checkpoint(checkpoint)
    state = {key: value.half() if value.ndim > 1 else value for key, value in model.state_dict().items()}
    size = sum(value.numel() * value.element_size() for value in state.values())
    if size > MAX_BYTES:
        raise ValueError(f"{checkpoint}: {size:,} bytes of weights; at most {MAX_BYTES:,} go into the package")
    folder = CHECKPOINTS / name
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as saved:
        model.save_pretrained(saved, state_dict=state)
        processor.save_pretrained(saved)
        for path in Path(saved).iterdir():
            if path.suffix != ".py":
                shutil.copyfile(path, folder / path.name)  # not the mode: temporary files are for their owner alone
    (folder / TRAINED_ON).write_text(json.dumps(asdict(describe(name, checkpoint)), indent=1) + "\n")
    for record in RECORDS:
        if (checkpoint / record).is_file():
            shutil.copyfile(checkpoint / record, folder / record)
    for record in RUN_RECORDS:
        (folder / record).unlink(missing_ok=True)  # of an earlier run under this name
    copy_records(checkpoint.parent, folder)
    (folder / ONNX).unlink(missing_ok=True)  # of other weights
    for code in CODE:
        (folder / code).unlink(missing_ok=True)
        (folder / code).symlink_to(Path("..") / ".." / code)
    return folder


def read_checkpoint(folder: Path):
    """Model, in float32, and processor of a checkpoint. Raises ValueError if `folder` holds none."""
    if not (folder / "model.safetensors").is_file():
        raise ValueError(f"no checkpoint in {folder}: it has no model.safetensors")
    return load_checkpoint(folder, dtype=torch.float32)


def copy_records(run: Path, folder: Path) -> None:
    """The records of a run's folder, as far as it has them."""
    for record in RUN_RECORDS:
        if (run / record).is_file():
            shutil.copyfile(run / record, folder / record)


def save_derived(model: torch.nn.Module, processor, checkpoint: Path, out: Path) -> None:
    """Save into `out` what was made of the network of `checkpoint`, with the records of that one's run beside it."""
    model.save_pretrained(out)
    processor.save_pretrained(out)
    copy_records(checkpoint.parent, out.parent)


def add_onnx(folder: Path, data: Path | None = None) -> Path:
    """
    Write `model.onnx` into the bundled checkpoint's folder; returns its path.

    Args:
        data: folder with the corpora, for a file in int8; None writes one in fp32.

    Raises:
        ValueError: if the file is too large.
    """
    predictor = TorchPredictor.from_pretrained(folder)
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / ONNX
        export_onnx(predictor, path, None if data is None else lambda: calibration_inputs(predictor, data))
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ValueError(
                f"{folder.name}: an ONNX file of {size:,} bytes; at most {MAX_BYTES:,} go into the package"
            )
        shutil.copyfile(path, folder / ONNX)
    return folder / ONNX


def calibration_inputs(predictor: TorchPredictor, data: Path) -> Iterator[np.ndarray]:
    """Batches of the network's input from training images."""
    for corpus, count in CALIBRATION.items():
        images = read_crops(data, corpus, "train").images
        images = images[torch.linspace(0, len(images) - 1, count).long()].expand(-1, 3, -1, -1)
        for part in images.split(16):
            yield predictor.prepare(part.permute(0, 2, 3, 1).numpy())


def main(argv: list[str] | None = None) -> int:
    parser = Script("training.checkpoints.bundle", __doc__)
    parser.add_argument("checkpoint", type=Path, nargs="?")
    parser.add_argument("--name", required=True)
    parser.add_argument("--onnx", action="store_true", help="add an ONNX file")
    parser.add_argument("--int8", action="store_true", help="add an ONNX file in int8; needs --data")
    parser.add_argument("--onnx-only", action="store_true", help="make only the ONNX file, of what is in the package")
    parser.add_argument("--data", type=Path, help="folder with the corpora, for --int8")
    return parser.run(run, argv)


def run(args: argparse.Namespace) -> None:
    if args.int8 != (args.data is not None):
        raise ValueError("--int8 needs --data, and only it does")
    if args.onnx_only != (args.checkpoint is None):
        raise ValueError("give a checkpoint, or --onnx-only")
    folder = CHECKPOINTS / args.name
    if not args.onnx_only:
        print(bundle(args.checkpoint, args.name))
    if args.onnx or args.int8 or args.onnx_only:
        print(add_onnx(folder, args.data))
    write_sums()


if __name__ == "__main__":
    sys.exit(main())
