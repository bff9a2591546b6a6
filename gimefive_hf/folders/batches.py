"""One batch of image files → the rows of each. The unit of work of `gimefive score`, in a thread or on a cluster."""

import numpy as np
from numpy.typing import NDArray

from ..faces.cropping import crop_face
from ..faces.detections import Detector
from ..recognizer import ExpressionRecognizer
from .listing import ImageFolder, printable

NO_FACE = "no face found"

# Pixels that a worker holds decoded before it brings them to the network's size.
HELD_PIXELS = 2_000_000

# One file: path under the folder, why nothing can be read there, or None, and what the listing told of its state.
Listed = tuple[str, str | None, str | None]
# One finished image: printable path; rows [number, x, y, width, height, detection score, *scores], for crops
# [*scores], or one row [reason]; and the state that the file was in, see `ImageFolder.stamp`.
Entry = tuple[str, list[list], str | None]


def score_batch(
    recognizer: ExpressionRecognizer, folder: ImageFolder, batch: list[Listed], detector: Detector | None
) -> list[Entry]:
    """
    The entries of a batch of files, in their order.

    Args:
        detector: finds the faces; None if every image is one face, already cropped and aligned.
    """
    predictor = recognizer.predictor
    entries: list[Entry] = []
    faces: list[list] = []  # the rows in `entries` that their scores are still to be added to
    inputs: list[NDArray[np.float32]] = []
    held: list[NDArray[np.uint8]] = []
    for listed in batch:
        entry, crops = read_faces(folder, listed, recognizer.margin, detector)
        entries.append(entry)
        if crops:
            faces += entry[1]
            held += crops
        if sum(crop.size // 3 for crop in held) > HELD_PIXELS:
            inputs.append(predictor.prepare(held))
            held = []
    if held:
        inputs.append(predictor.prepare(held))
    if inputs:
        values = np.concatenate(inputs)
        parts = [predictor.predict(values[start : start + len(batch)]) for start in range(0, len(values), len(batch))]
        for row, scores in zip(faces, np.concatenate(parts).tolist(), strict=True):
            row += [round(score, 6) for score in scores]
    return entries


def read_faces(
    folder: ImageFolder, listed: Listed, margin: float, detector: Detector | None
) -> tuple[Entry, list[NDArray[np.uint8]]]:
    """One image's faces, largest first, as an entry without scores, and their crops; or an entry with the reason."""
    name, error, stamp = listed
    shown = printable(name)
    if error is not None:
        return (shown, [[error]], None), []
    stamp = stamp or folder.stamp(name)  # before it is read: what changes meanwhile is scored again by the next run
    try:
        pixels = folder.load(name)
    except ValueError as problem:
        return (shown, [[printable(str(problem))]], stamp), []
    if detector is None:
        return (shown, [[]], stamp), [pixels]
    found = sorted(detector(pixels), key=lambda d: -d.box[2])
    rows = [[number, *(round(v, 2) for v in d.box), round(d.score, 4)] for number, d in enumerate(found, 1)]
    return (shown, rows or [[NO_FACE]], stamp), [crop_face(pixels, d, margin).image for d in found]
