"""
Assemble the demo as a Gradio Space, with the library and its checkpoints inside.

    python -m spaces.assemble_demo FOLDER     # then, in it: python app.py
"""

import shutil
import sys
from pathlib import Path

from gimefive_hf.publishing.licence import LICENSE_FILE, LICENSE_TEXT

DEMO = Path(__file__).parent / "demo"
LIBRARY = Path(__file__).parents[1] / "gimefive_hf"
FAITHFULNESS = Path(__file__).parents[1] / "evaluation" / "results" / "faithfulness.csv"
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "*.pyi", ".gradio")
CHECKPOINTS = ("gimefive-7", "gimefive")  # what the page asks for, in this order; the others are half the package


def assemble(folder: Path) -> list[Path]:
    """Put into the empty `folder` what makes the Space, and return its files. Raises ValueError if one lacks."""
    if not (LIBRARY / "checkpoints" / "gimefive" / "model.safetensors").is_file():
        raise ValueError("the library has no checkpoint in gimefive_hf/checkpoints/gimefive; the demo needs it")
    shutil.copytree(DEMO, folder, ignore=LEFT_OUT, dirs_exist_ok=True)
    shutil.copytree(LIBRARY, folder / "gimefive_hf", ignore=library_without)
    shutil.copy(FAITHFULNESS, folder)  # what the heat maps are worth, which the page tells
    shutil.copyfile(LICENSE_TEXT, folder / LICENSE_FILE)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def library_without(folder: str, names: list[str]) -> set[str]:
    """What of a folder of the library does not go along, as `shutil.copytree` asks."""
    others = {name for name in names if Path(folder).name == "checkpoints" and name not in CHECKPOINTS}
    return others | LEFT_OUT(folder, names)


if __name__ == "__main__":
    print(f"{len(assemble(Path(sys.argv[1])))} files")
