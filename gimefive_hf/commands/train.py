"""`gimefive train`: train a network by a recipe, by flags, or by both; it is `python -m training.train`."""

import argparse
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    if not (REPOSITORY / "training" / "train.py").is_file():
        parser.error("training is part of the repository (training/); run this from a clone, installed by `make`")
    if str(REPOSITORY) not in sys.path:
        sys.path.insert(0, str(REPOSITORY))
    from training import train

    train.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    from training import train

    return train.run(args)
