"""Room on the disk: checked before a run, and told of clearly when it ends during one."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError


def require_space(folder: Path, model) -> None:
    """Raise OSError unless `folder` has room for two checkpoints, one being written, and the best weights twice."""
    weights = sum(t.numel() * t.element_size() for t in model.state_dict().values())
    needed = 3 * 4 * weights + 3 * weights + 50_000_000  # a checkpoint: weights, averages, two moments of Adam
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            f"{folder} has {free / 1e6:,.0f} MB left, and this run's checkpoints need {needed / 1e6:,.0f} MB; make "
            "room or choose another --out"
        )


@contextmanager
def clear_disk_errors(folder: Path) -> Iterator[None]:
    """Turns what torch and safetensors raise while they write `folder` into one OSError; removes the half written."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if (
            type(error) is RuntimeError
            and "PytorchStreamWriter" not in str(error)
            and "unexpected pos" not in str(error)
        ):
            raise  # not about writing
        shutil.rmtree(folder, ignore_errors=True)
        free = shutil.disk_usage(folder.parent).free / 1e6
        raise OSError(
            f"{folder.name} could not be written to {folder.parent} ({error}); {free:,.0f} MB are free there. Make "
            "room and run the same command again: it goes on from the last complete checkpoint"
        ) from error
