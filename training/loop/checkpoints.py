"""What a run keeps on the disk: which checkpoints are complete, which are still as they were written."""

import hashlib
import json
import shutil
from pathlib import Path

from accelerate import PartialState
from accelerate.utils import broadcast_object_list

from gimefive_hf.tables import write_whole

COMPLETE = "complete.json"  # written last: a checkpoint without it was cut short
DIGESTS = "digests.json"


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_digests(folder: Path) -> None:
    """Note the digest of every file in `folder`, by its path there."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != DIGESTS]
    digests = {str(path.relative_to(folder)): digest(path) for path in files}
    write_whole(folder / DIGESTS, json.dumps(digests, indent=1) + "\n")


def damage(folder: Path) -> str | None:
    """What is wrong with the files in `folder`; None if all are as they were written, or if nothing is noted there."""
    if not (folder / DIGESTS).is_file():  # of a version that wrote none
        return None
    try:
        noted = json.loads((folder / DIGESTS).read_text())
        for name, expected in noted.items():
            if not (folder / name).is_file():
                return f"{name} is missing"
            if digest(folder / name) != expected:
                return f"{name} is not as it was written"
    except (OSError, ValueError, AttributeError) as error:
        return f"it cannot be read ({type(error).__name__})"
    return None


def complete_checkpoints(run: Path) -> list[Path]:
    """Checkpoints that were written to their end, oldest first."""
    found = [path.parent for path in run.glob(f"checkpoint-*/{COMPLETE}")]
    return sorted(found, key=lambda path: int(path.name.split("-")[1]))


def newest_whole_checkpoint(run: Path) -> Path | None:
    """
    The checkpoint to go on from; None if there is none yet. Newer ones that are damaged are set aside, which is said.

    Raises ValueError if all are damaged: that is a matter of the disk, and starting anew must not happen unasked.
    """
    box: list = [None, None]
    if PartialState().is_main_process:  # the others are told, so that all go on from the same one
        wrong = {}
        for path in reversed(complete_checkpoints(run)):
            problem = damage(path)
            if problem is None:
                box[0] = path
                break
            wrong[path] = problem
        told = "; ".join(f"{path.name}: {problem}" for path, problem in wrong.items())
        if wrong and box[0] is None:
            box[1] = f"no checkpoint in {run} is whole ({told}); look after the disk, or delete them to start anew"
        elif wrong:
            print(f"damaged, so an older checkpoint is taken: {told}", flush=True)
            for path in wrong:
                aside = run / f"damaged-{path.name}"
                shutil.rmtree(aside, ignore_errors=True)
                path.rename(aside)
    broadcast_object_list(box)
    if box[1] is not None:
        raise ValueError(box[1])
    return box[0]


def kept_best(run: Path) -> Path | None:
    """The folder `best-STEP` of a run, or None."""
    found = [path for path in run.glob("best-*") if path.name.removeprefix("best-").isdigit()]
    return max(found, key=lambda path: int(path.name.removeprefix("best-")), default=None)
