"""
A checkpoint that knows some of another's classes: the same network without the others' rows of the last layer.

    python -m training.checkpoints.keep_classes runs/gimefive-fast-7/model runs/gimefive-fast/model \\
        --classes happiness surprise sadness anger disgust fear

Softmax over what is left is the other's, given that the face shows one of the kept classes. The run's settings and
record go along; the calibration does not: run `training.checkpoints.calibrate` on the result.
"""

import argparse
import copy
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from gimefive_hf.modeling_gimefive import GiMeFiveForImageClassification

from ..script import Script
from .bundle import read_checkpoint, save_derived


@torch.no_grad()
def keep_classes(model: GiMeFiveForImageClassification, classes: Sequence[str]) -> GiMeFiveForImageClassification:
    """
    `model` with only `classes`, in their order, at temperature 1 and without a threshold.

    Raises ValueError for a class that the model does not have, and for fewer than two.
    """
    known = list(model.config.id2label.values())
    unknown = [name for name in classes if name not in known]
    if unknown or len(set(classes)) < 2 or len(set(classes)) != len(classes):
        raise ValueError(f"expected two or more different classes out of {', '.join(known)}; got {', '.join(classes)}")
    config = copy.deepcopy(model.config)
    config.id2label = dict(enumerate(classes))
    config.label2id = {name: index for index, name in enumerate(classes)}
    config.temperature, config.confidence_threshold = 1.0, None
    fewer = GiMeFiveForImageClassification(config)
    state = dict(model.state_dict())
    rows = torch.tensor([known.index(name) for name in classes])
    for part in ("weight", "bias"):
        name = f"classifier.{len(model.classifier) - 1}.{part}"
        state[name] = state[name][rows]
    fewer.load_state_dict(state)
    return fewer.eval()


def main(argv: list[str] | None = None) -> int:
    parser = Script("training.checkpoints.keep_classes", __doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path, help="folder of the new checkpoint")
    parser.add_argument("--classes", nargs="+", required=True, metavar="NAME")
    return parser.run(run, argv)


def run(args: argparse.Namespace) -> None:
    model, processor = read_checkpoint(args.checkpoint)
    save_derived(keep_classes(model, args.classes), processor, args.checkpoint, args.out)
    print(args.out)


if __name__ == "__main__":
    sys.exit(main())
