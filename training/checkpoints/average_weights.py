"""
The weighted mean of checkpoints of one network, as between start and end of a training (Wortsman et al. 2022).

    python -m training.checkpoints.average_weights runs/gimefive-7-second/model runs/gimefive-7-first/model \\
        --shares 0.7 0.3 --neutral 0.3 --out runs/gimefive-7/model

It costs as much as one of them, and often keeps what the earlier one knew along with what the later one learnt; which
shares do, and what to add to neutral's logit, is for held-out images to say. Settings, processor and records are those
of the first; the calibration does not go along: run `training.checkpoints.calibrate` on the result.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from gimefive_hf.modeling_gimefive import GiMeFiveForImageClassification

from ..script import Script
from .bundle import read_checkpoint, save_derived


@torch.no_grad()
def average_weights(
    models: Sequence[GiMeFiveForImageClassification], shares: Sequence[float], neutral: float = 0.0
) -> GiMeFiveForImageClassification:
    """
    The first of `models` with the mean of all their weights and running statistics, at temperature 1 and without a
    threshold; `shares` of sum 1, one each. `neutral` is added to that class's logit. Raises ValueError where networks,
    classes or shares do not fit.
    """
    if len(models) < 2 or len(shares) != len(models) or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(f"expected two or more checkpoints and a share of each, of sum 1; got {list(shares)}")
    first = models[0]
    for other in models[1:]:
        same = {name: value.shape for name, value in other.state_dict().items()}
        if same != {name: value.shape for name, value in first.state_dict().items()}:
            raise ValueError("the checkpoints are of different networks")
        if other.config.id2label != first.config.id2label:
            raise ValueError("the checkpoints have different classes")
    states = [model.state_dict() for model in models]
    mean = {
        name: sum(share * state[name].float() for share, state in zip(shares, states, strict=True)).to(value.dtype)
        if value.is_floating_point()
        else value
        for name, value in states[0].items()
    }
    first.load_state_dict(mean)
    if neutral:
        names = list(first.config.id2label.values())
        if "neutral" not in names:
            raise ValueError("the checkpoints have no neutral")
        first.classifier[-1].bias[names.index("neutral")] += neutral
    first.config.temperature, first.config.confidence_threshold = 1.0, None
    return first.eval()


def main(argv: list[str] | None = None) -> int:
    parser = Script("training.checkpoints.average_weights", __doc__)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--shares", type=float, nargs="+", required=True, help="of each checkpoint; their sum is 1")
    parser.add_argument("--neutral", type=float, default=0.0, help="to be added to the logit of neutral")
    parser.add_argument("--out", type=Path, required=True, help="folder of the new checkpoint")
    return parser.run(run, argv)


def run(args: argparse.Namespace) -> None:
    loaded = [read_checkpoint(folder) for folder in args.checkpoints]
    model = average_weights([model for model, _ in loaded], args.shares, args.neutral)
    save_derived(model, loaded[0][1], args.checkpoints[0], args.out)
    path = args.out.parent / "run.json"
    if path.is_file():  # its held-out figures are those of the first checkpoint alone
        record = json.loads(path.read_text())
        names = [folder.parent.name for folder in args.checkpoints]
        record["mean_of"] = dict(zip(names, args.shares, strict=True))
        record["added_to_neutral"] = args.neutral
        path.write_text(json.dumps(record, indent=1) + "\n")
    print(args.out)


if __name__ == "__main__":
    sys.exit(main())
