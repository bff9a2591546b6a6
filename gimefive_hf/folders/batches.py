"""One batch of image files → the rows of each. The unit of work of `gimefive score`, in a thread or on a cluster."""

from dataclasses import dataclass, field

import numpy as np

from ..faces.cropping import crop_face
from ..faces.detections import Detector
from ..recognizer import ExpressionRecognizer
from ..runtimes.predictor import Predictor
from .listing import ImageFolder, printable

NO_FACE = "no face found"

# Pixels that a worker holds decoded before it brings them to the network's size.
HELD_PIXELS = 2_000_000

# One file: path under the folder, why nothing can be read there, or None, and what the listing told of its state.
Listed = tuple[str, str | None, str | None]
# One finished image: printable path; rows [number, x, y, width, height, detection score, *scores], for crops
# [*scores], or one row [reason]; and the state that the file was in, see `ImageFolder.stamp`.
Entry = tuple[str, list[list], str | None]


@dataclass
class Prepared:
    """One image as read: `face_rows` (number, box, detection score) or the reason why there are none; its state."""

    name: str
    stamp: str | None
    face_rows: list[list] = field(default_factory=list)
    error: str | None = None


def score_batch(
    recognizer: ExpressionRecognizer, folder: ImageFolder, batch: list[Listed], detector: Detector | None
) -> list[Entry]:
    """
    The entries of a batch of files, in their order.

    Args:
        detector: finds the faces; None if every image is one face, already cropped and aligned.
    """
    images, values = prepare_batch(recognizer, folder, batch, detector)
    scores = score_values(recognizer.predictor, values, max(1, len(batch)))
    ends = np.cumsum([len(image.face_rows) for image in images])
    parts = np.split(scores, ends[:-1])
    return [(image.name, entry_rows(image, part), image.stamp) for image, part in zip(images, parts, strict=True)]


def prepare_batch(
    recognizer: ExpressionRecognizer, folder: ImageFolder, batch: list[Listed], detector: Detector | None
) -> tuple[list[Prepared], np.ndarray | None]:
    """Read the images and bring their faces to the network's input (faces, channels, height, width)."""
    images, values, held = [], [], []
    size = 0
    for listed in batch:
        image, pixels = read_faces(folder, listed, recognizer.margin, detector)
        images.append(image)
        held += pixels
        size += sum(crop.size // 3 for crop in pixels)
        if size > HELD_PIXELS:
            values.append(recognizer.predictor.prepare(held))
            held, size = [], 0
    if held:
        values.append(recognizer.predictor.prepare(held))
    return images, np.concatenate(values) if values else None


def read_faces(
    folder: ImageFolder, listed: Listed, margin: float, detector: Detector | None
) -> tuple[Prepared, list[np.ndarray]]:
    """One image's faces, largest first, and their crops; without a detector the image is the crop."""
    name, error, stamp = listed
    shown = printable(name)
    if error is not None:
        return Prepared(shown, None, error=error), []
    stamp = stamp or folder.stamp(name)  # before it is read: what changes meanwhile is scored again by the next run
    try:
        pixels = folder.load(name)
    except ValueError as problem:
        return Prepared(shown, stamp, error=printable(str(problem))), []
    if detector is None:
        return Prepared(shown, stamp, [[]]), [pixels]
    found = sorted(detector(pixels), key=lambda d: -d.box[2])
    if not found:
        return Prepared(shown, stamp, error=NO_FACE), []
    rows = [[number, *(round(v, 2) for v in d.box), round(d.score, 4)] for number, d in enumerate(found, 1)]
    return Prepared(shown, stamp, rows), [crop_face(pixels, d, margin).image for d in found]


def score_values(predictor: Predictor, values: np.ndarray | None, batch_size: int) -> np.ndarray:
    """Probabilities float32 (n, classes) of the network's inputs (n, c, h, w)."""
    if values is None:
        return np.zeros((0, len(predictor.emotions)), np.float32)
    starts = range(0, len(values), batch_size)
    return np.concatenate([predictor.predict(values[start : start + batch_size]) for start in starts])


def entry_rows(image: Prepared, scores: np.ndarray) -> list[list]:
    """The rows of an entry."""
    if image.error is not None:
        return [[image.error]]
    return [
        face + [round(score, 6) for score in row] for face, row in zip(image.face_rows, scores.tolist(), strict=True)
    ]
