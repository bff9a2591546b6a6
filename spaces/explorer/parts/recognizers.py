"""The networks of the package, each loaded once for all readers."""

from pathlib import Path

import streamlit as st

import gimefive_hf
from gimefive_hf import ExpressionRecognizer

CHECKPOINTS = Path(gimefive_hf.__file__).parent / "checkpoints"


@st.cache_resource(show_spinner=False)
def load_recognizer(name: str, backend: str) -> ExpressionRecognizer:
    return ExpressionRecognizer.from_pretrained(name, backend=backend)


def runtimes(folder: Path = CHECKPOINTS) -> dict[str, str]:
    """The checkpoints of the package and what runs them: onnxruntime first, which starts in no time, torch last."""
    names = sorted(path.parent.name for path in folder.glob("*/model.safetensors"))
    told = {name: "onnx" if (folder / name / "model.onnx").is_file() else "torch" for name in names}
    return dict(sorted(told.items(), key=lambda item: item[1]))


def load_recognizers() -> None:
    """All of them; ONNX first, because torch would take the processor from those that a reader can have at once."""
    for name, backend in runtimes().items():
        load_recognizer(name, backend)
