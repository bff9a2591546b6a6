"""Pictures of the corpora, only where they lie on this machine, and heat maps over them."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import streamlit as st
from PIL import Image
from plotly.colors import sample_colorscale, unlabel_rgb

from gimefive_hf.images.opening import FORMATS

SIDE = 224


def corpora_folder() -> Path | None:
    """`$GIMEFIVE_CORPORA`, or `../shared/corpora` beside the repository; None if there is neither."""
    default = Path(__file__).parents[4] / "shared" / "corpora"
    folder = Path(os.environ.get("GIMEFIVE_CORPORA") or default)
    return folder if folder.is_dir() else None


@st.cache_resource(show_spinner=False)
def open_archive(path: str, changed: int) -> zipfile.ZipFile | None:
    """An open zip file, kept open because its list of names is long; None if it is not a whole one."""
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile):
        return None


def read_picture(folder: Path, corpus: str, source: str) -> Image.Image | None:
    """One image of a corpus's folder or zip file, RGB of `SIDE` px; None if this copy does not have it whole."""
    path = folder / f"{corpus}.zip"
    try:
        if path.is_file():
            archive = open_archive(str(path), path.stat().st_mtime_ns)
            content = None if archive is None else archive.read(source)
        else:
            content = (folder / corpus / source).read_bytes()
        if content is None:
            return None
        return (
            Image.open(io.BytesIO(content), formats=list(FORMATS))
            .convert("RGB")
            .resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        )
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):  # PIL's errors are OSErrors
        return None


COLORS = np.array([unlabel_rgb(color) for color in sample_colorscale("Inferno", np.linspace(0, 1, 256))])


def draw_heat(heat: np.ndarray, below: Image.Image | None) -> Image.Image:
    """A heat map, uint8 (h, w), as an RGB picture of `SIDE` px; half over the picture below, if there is one."""
    large = Image.fromarray(heat).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    colored = Image.fromarray(COLORS[np.asarray(large)].astype(np.uint8))
    return colored if below is None else Image.blend(below, colored, 0.45)
