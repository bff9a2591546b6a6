"""The checkpoints in the package, by name."""

from pathlib import Path

BUNDLED = ("gimefive", "gimefive-7", "gimefive-fast", "gimefive-fast-7", "gimefive-paper")


def resolve_checkpoint(name_or_path):
    """
    The name of a checkpoint in the package (`BUNDLED`) → its folder, unless a folder of that name stands here; else
    unchanged.
    """
    if str(name_or_path) in BUNDLED and not Path(name_or_path).is_dir():
        folder = Path(__file__).parent / "checkpoints" / str(name_or_path)
        if folder.is_dir():
            return str(folder)
    return name_or_path
