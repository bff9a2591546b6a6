"""
Put a trained checkpoint into the package, as the one that a short name stands for.

    python -m training.bundle runs/flagship/model --name gimefive
    python -m training.bundle runs/gimefive-fast/model --name gimefive-fast --int8 --data DIR

`--int8` puts an ONNX file in int8 beside the weights, which `--backend onnx --model NAME` then finds; the ranges of its
activations are taken from training images of the corpora in DIR.

What it was trained on, the run's settings tell; they go into `trained_on.json`. Matrices are stored in half precision,
which halves what every clone carries; the config says float32, to which they are widened when loaded. The code beside
the weights is a link to the package's own.
"""

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import torch

from gimefive_hf import ExpressionRecognizer, GiMeFiveForImageClassification, GiMeFiveImageProcessor

from .corpora.crops import read_crops
from .testing.scorers import TRAINED_ON, describe

CHECKPOINTS = Path(__file__).parents[1] / "gimefive_hf" / "checkpoints"
CODE = ("configuration_gimefive.py", "emotions.py", "image_processing_gimefive.py", "modeling_gimefive.py")
# What tells where the figures in the config come from.
RECORDS = ("calibration.json", "reliability.png")
# How the run went that the checkpoint is the outcome of: its card tells it.
RUN_RECORDS = ("settings.json", "run.json")
MAX_BYTES = 25_000_000
CALIBRATION = {"raf-db": 256, "fer2013": 256, "affectnet": 256}  # training images, spread evenly over the split


def bundle(checkpoint: Path, name: str) -> Path:
    """Store `checkpoint` as `name`; returns the folder. Raises ValueError if its weights are too large."""
    model = GiMeFiveForImageClassification.from_pretrained(checkpoint, dtype=torch.float32)
    processor = GiMeFiveImageProcessor.from_pretrained(checkpoint)
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
        if (checkpoint.parent / record).is_file():
            shutil.copyfile(checkpoint.parent / record, folder / record)
        else:
            (folder / record).unlink(missing_ok=True)  # of an earlier run under this name
    for code in CODE:
        (folder / code).unlink(missing_ok=True)
        (folder / code).symlink_to(Path("..") / ".." / code)
    return folder


def add_int8(folder: Path, data: Path) -> Path:
    """Write `model.onnx` into the bundled checkpoint's folder; returns its path."""
    from gimefive_hf.runtimes.export import export_onnx

    fer = ExpressionRecognizer.from_pretrained(folder)
    batches = []
    for corpus, count in CALIBRATION.items():
        images = read_crops(data, corpus, "train").images
        images = images[torch.linspace(0, len(images) - 1, count).long()].expand(-1, 3, -1, -1)
        batches += [fer.pixel_values(part.permute(0, 2, 3, 1).numpy()) for part in images.split(16)]
    export_onnx(fer, folder / "model.onnx", lambda: iter(batches))
    return folder / "model.onnx"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--int8", action="store_true", help="add an ONNX file in int8; needs --data")
    parser.add_argument("--data", type=Path, help="folder with the corpora, for --int8")
    args = parser.parse_args()
    if args.int8 and args.data is None:
        parser.error("--int8 needs --data")
    print(bundle(args.checkpoint, args.name))
    if args.int8:
        print(add_int8(CHECKPOINTS / args.name, args.data))
    return 0


if __name__ == "__main__":
    sys.exit(main())
