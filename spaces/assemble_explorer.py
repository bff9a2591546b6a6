"""
Assemble the explorer as a Docker Space: the context that its Dockerfile is built from, with that file at the top.

    python -m spaces.assemble_explorer FOLDER     # then: docker build FOLDER
"""

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXPLORER = ROOT / "spaces" / "explorer"
# What the Dockerfile copies, and no more.
TREES = ("gimefive_hf", "spaces/explorer", "evaluation")
FILES = ("pyproject.toml", "LICENSE", "THIRD_PARTY.md")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".results.lock")


def assemble(folder: Path) -> list[Path]:
    """Put into the empty `folder` what makes the Space, and return its files."""
    for name in TREES:
        shutil.copytree(ROOT / name, folder / name, ignore=LEFT_OUT)
    for name in FILES:
        shutil.copyfile(ROOT / name, folder / name)
    shutil.copyfile(EXPLORER / "Dockerfile", folder / "Dockerfile")
    shutil.copyfile(EXPLORER / "README.md", folder / "README.md")  # the Space's card, and the package's read-me there
    return sorted(path for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    print(f"{len(assemble(Path(sys.argv[1])))} files")
