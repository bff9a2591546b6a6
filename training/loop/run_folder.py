"""What a run's folder holds before the first step: its lock, its settings, the start of its record."""

import json
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import transformers
from accelerate import PartialState
from filelock import FileLock, Timeout

from ..corpora.crops import Crops
from ..networks.catalogue import trainable_parameters
from .batches import TrainingImages
from .settings import TrainingSettings, make_settings


@contextmanager
def only_run(out: Path) -> Iterator[None]:
    """Hold the run's folder, or raise ValueError if another process trains into it. Processes of one run share it."""
    out.mkdir(parents=True, exist_ok=True)
    if not PartialState().is_main_process:
        yield
        return
    lock = FileLock(out / ".lock", timeout=0)  # released by the kernel when the process dies
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(f"another process is training into {out}; wait for it or choose another --out") from None
    try:
        yield
    finally:
        lock.release()


def settle(settings: TrainingSettings, out: Path) -> None:
    """Save the settings with the run, or raise ValueError if the folder holds a run with other ones."""
    path = out / "settings.json"
    if path.is_file():
        earlier = make_settings(json.loads(path.read_text()), str(path)).to_dict()
        now = settings.to_dict()
        changed = [f"{key} was {earlier[key]!r}, is {now[key]!r}" for key in now if earlier[key] != now[key]]
        if changed:
            raise ValueError(f"{out} holds a run with other settings ({'; '.join(changed)}); choose another --out")
    elif PartialState().is_main_process:
        settings.save(path)


def git_commit(digits: int = 40) -> str | None:
    """The commit of the code, with a mark if the working tree differs from it; None outside a repository."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*", f"--abbrev={digits}"]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def start_record(
    settings: TrainingSettings, model, images: TrainingImages, held_out: dict[str, Crops], steps: int
) -> dict:
    """What `run.json` says of a run before it begins."""
    return {
        "commit": git_commit(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "device": torch.cuda.get_device_name() if PartialState().device.type == "cuda" else "cpu",
        "processes": PartialState().num_processes,
        "threads": torch.get_num_threads(),
        "trainable_parameters": trainable_parameters(model),
        "parameters": sum(p.numel() for p in model.parameters()),
        "training_images": {name: len(crops) for name, crops in images.crops.items()},
        "held_out_images": {
            name: len(crops.select(crops.labels < settings.classes)) for name, crops in held_out.items()
        },
        "left_out_classes": {name: crops.left_out for name, crops in images.crops.items() if crops.left_out},
        "steps": steps,
        "steps_per_epoch": round(float(images.weights().sum()) / settings.batch_size, 1),
    }
