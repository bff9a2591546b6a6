"""Where a run finds what it needs: the flags that do not decide its outcome."""

# ruff: noqa: RUF009 - told() makes dataclass fields

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any


def told(text: str, default: Any = None, **options: Any) -> Any:
    """A field of `RunPaths` with what argparse makes its flag of."""
    return field(default=default, metadata={"type": Path, "help": text} | options)


@dataclass(frozen=True)
class RunPaths:
    """See the flags' help."""

    data: Path = told("folder with the corpora's zip files")
    out: Path = told("folder of the run; a run found there goes on", required=True)
    cache: Path | None = told("folder of the corpora's caches")
    identity: Path | None = told("folder of the face-identity weights")
    weights: Path | None = told("first weights: VGG16 file, checkpoint folder, a bundled name")
    teacher: Sequence[Path] = told("folders of the checkpoints that teacher_share speaks of", (), nargs="+")
    probabilities: Path | None = told("npz file with a teacher's probabilities, in its place")
    detected: Path | None = told("folder of training.detected_crops, for detected_share")
    workers: int = told("processes that make batches; worth it beside a GPU", 0, type=int)
    cpu: bool = told("use no GPU even if there is one", False, action="store_true", type=None)


def add_paths(parser: argparse.ArgumentParser) -> None:
    """A flag for each field of `RunPaths`."""
    for item in fields(RunPaths):
        options = {key: value for key, value in item.metadata.items() if value is not None}
        parser.add_argument(f"--{item.name}", default=item.default, **options)


def paths_of(args: argparse.Namespace) -> RunPaths:
    return RunPaths(**{item.name: getattr(args, item.name) for item in fields(RunPaths)})
