"""What a published model consists of: weights, processor, code, card, example, records, licence, ONNX files."""

import shutil
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from ..image_processing_gimefive import GiMeFiveImageProcessor
from ..loading import load_checkpoint
from ..modeling_gimefive import GiMeFiveForImageClassification
from ..runtimes.onnx_predictor import OnnxPredictor
from .licence import LICENSE_FILE, LICENSE_TEXT
from .short_card import RECORDS, short_card

# What the Hub offers to try a model with: an aligned crop of NASA's portrait of Eileen Collins, in the public domain.
EXAMPLE = Path(__file__).parent / "example.jpg"
WIDGET = f"widget:\n- src: {EXAMPLE.name}\n  example_title: a portrait by NASA, cropped\n"
NEEDED = ("config.json", "model.safetensors", "preprocessor_config.json")
# Where transformers.js and optimum look for ONNX files, by what `gimefive export` says of them.
ONNX_PLACES = {"fp32": "onnx/model.onnx", "int8": "onnx/model_quantized.onnx"}


def stage(checkpoint: Path, folder: Path, repo: str, card: Path | None = None, also: Sequence[Path] = ()) -> list[Path]:
    """
    Put into `folder` exactly what is pushed, and return its files, sorted.

    The checkpoint is loaded and saved again: what does not load is not pushed, and the code is that of this version.

    Raises:
        ValueError: for a folder that holds no checkpoint, or a card without front matter.
        FileNotFoundError: for a missing card or further file.
    """
    for name in NEEDED:
        if not (checkpoint / name).is_file():
            raise ValueError(f"no checkpoint in {checkpoint}: it has no {name}")
    model, processor = load_checkpoint(checkpoint)
    save(model, processor, folder)
    for path in [checkpoint / name for name in RECORDS if (checkpoint / name).is_file()] + list(also):
        if not path.is_file():
            raise FileNotFoundError(f"no file {path}")
        shutil.copyfile(path, folder / path.name)
    shutil.copyfile(LICENSE_TEXT, folder / LICENSE_FILE)
    add_onnx(checkpoint, folder, model, processor)
    card = card or (checkpoint / "README.md" if (checkpoint / "README.md").is_file() else None)
    if card is not None and not card.is_file():
        raise FileNotFoundError(f"no card {card}")
    text = card.read_text() if card else short_card(checkpoint, model, repo)
    if not text.startswith("---\n"):
        raise ValueError(
            f"the card {card} has no front matter: the Hub reads licence and task between two lines of ---"
        )
    if "\nwidget:" not in text:
        text = text.replace("---\n", "---\n" + WIDGET, 1)
        shutil.copyfile(EXAMPLE, folder / EXAMPLE.name)
    (folder / "README.md").write_text(text.replace("USER/NAME", repo))
    return sorted(path for path in folder.rglob("*") if path.is_file())


def save(model: GiMeFiveForImageClassification, processor: GiMeFiveImageProcessor, folder: Path) -> None:
    """Weights, configuration, preprocessing and the code that loads them without this package."""
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def add_onnx(
    checkpoint: Path, folder: Path, model: GiMeFiveForImageClassification, processor: GiMeFiveImageProcessor
) -> None:
    """The checkpoint's own ONNX file, and one in fp32 if it has none and the packages that write it are here."""
    (folder / "onnx").mkdir(exist_ok=True)
    if (checkpoint / "model.onnx").is_file():
        place = ONNX_PLACES[OnnxPredictor(checkpoint / "model.onnx", threads=1).precision]
        shutil.copyfile(checkpoint / "model.onnx", folder / place)
    if (folder / ONNX_PLACES["fp32"]).is_file():
        return
    if find_spec("onnx") is None or find_spec("onnxscript") is None:
        warnings.warn(f'{ONNX_PLACES["fp32"]} is left out: pip install ".[onnx]" in a clone to write it', stacklevel=2)
        return
    from ..runtimes.export import export_onnx
    from ..runtimes.torch_predictor import TorchPredictor

    export_onnx(TorchPredictor(model, processor), folder / ONNX_PLACES["fp32"])
