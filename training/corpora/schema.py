"""The one schema of every corpus: label names, columns, and what a corpus reader yields."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, field

import datasets
import numpy as np
from PIL import Image, ImageOps

from gimefive_hf.emotions import EMOTIONS
from gimefive_hf.images.opening import FORMATS

# The six come first, so that a label below 6 is also an index into a six-class score vector.
LABELS: tuple[str, ...] = (*EMOTIONS, "neutral", "contempt")
# FER+ (Barsoum et al. 2016) has ten options; the first eight stand in the order of LABELS.
VOTES: tuple[str, ...] = (*LABELS, "unknown", "NF")

FEATURES = datasets.Features(
    {
        "image": datasets.Image(),
        "label": datasets.ClassLabel(names=list(LABELS)),  # null only where a DISFA frame shows no named emotion
        "votes": datasets.List(datasets.Value("int16")),  # annotators' counts in the order of VOTES, or null
        "action_units": datasets.List(datasets.Value("int8")),  # DISFA's intensities 0–5, or null
        "corpus": datasets.Value("string"),
        "split": datasets.Value("string"),
        "subject": datasets.Value("string"),  # null where the corpus does not tell
        "source": datasets.Value("string"),  # path inside the corpus; a CSV's row as "fer2013.csv#17"
        "sha256": datasets.Value("string"),  # of the decoded RGB pixels, see pixel_hash
    }
)


@dataclass(slots=True)
class Entry:
    """One image as a reader finds it: nothing is decoded before `load()` is called, which gives an encoded image."""

    source: str
    label: str | None
    load: Callable[[], bytes] = field(repr=False)
    split: str | None = None  # the corpus's own split, "train" or "test", if it has one
    subject: str | None = None
    votes: list[int] | None = None
    action_units: list[int] | None = None


@dataclass(slots=True)
class Problem:
    """Something wrong in a corpus. `left_out` says whether the images it names are missing from the dataset."""

    source: str
    reason: str
    left_out: bool = True


class CorpusError(ValueError):
    """A corpus that cannot be read, or with `strict` one that has any problem; the text names each with its reason."""


def decode(data: bytes) -> Image.Image:
    """The image as `datasets.Image` decodes it: whole (a truncated file raises `OSError`), EXIF rotation applied."""
    image: Image.Image = Image.open(io.BytesIO(data), formats=list(FORMATS))
    image.load()
    if image.getexif().get(0x0112) is not None:
        image = ImageOps.exif_transpose(image)
    return image


def pixel_hash(image: Image.Image) -> str:
    """sha256 of the image's RGB pixels and their shape: equal for a grey and a colour file that look the same."""
    pixels = np.asarray(image.convert("RGB"))
    return hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()


def encode_png(pixels: np.ndarray) -> bytes:
    """A lossless file for pixels that have none of their own; uint8 (H, W) grey or (H, W, 3) RGB."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()
