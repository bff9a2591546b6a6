"""
Scores for every image of a folder: decoding and face search in threads beside the model, resumable at any moment.

    summary = score_folder(fer, "photos", "scores.csv")
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from .faces import FaceDetector, crop_face
from .images import load_image
from .journal import Journal
from .recognizer import ExpressionRecognizer
from .tables import FORMATS, TableWriter, check_output

# Which files of a folder are taken for images; what a file really holds is seen when it is read.
IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff", ".avif"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".tga", ".ico"),
)

NO_FACE = "no face found"

# Pixels that a worker holds decoded before it brings them to the network's size.
HELD_PIXELS = 2_000_000


@dataclass
class Summary:
    """What became of a folder. `images` counts all that were found; some had no face, failed or were resumed."""

    images: int = 0
    faces: int = 0
    without_face: int = 0
    failed: int = 0
    resumed: int = 0
    skipped_files: int = 0


@dataclass
class Prepared:
    """One image as a worker leaves it: `face_rows` (number, box, detection score) or the reason why there are none."""

    name: str
    face_rows: list[list] = field(default_factory=list)
    error: str | None = None


def score_columns(emotions: Iterable[str], crops: bool) -> dict[str, type]:
    """The columns of the result: for crops the paper's, filepath and scores, and the reason of a failure."""
    scores = dict.fromkeys(emotions, float)
    if crops:
        return {"filepath": str, **scores, "error": str}
    box = dict.fromkeys(("x", "y", "width", "height", "detection_score"), float)
    return {"filepath": str, "face": int, **box, **scores, "emotion": str, "confidence": float, "error": str}


def find_images(folder: Path, skipped: Callable[[str], None] = lambda name: None) -> Iterator[tuple[str, str | None]]:
    """
    Paths of the image files under `folder`, relative to it with "/" between, in a fixed order, each with None; or of a
    folder that may not be read, with the reason. Hidden files are left out; of other files `skipped` is told the name.
    """
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield ".", f"folder may not be read ({error.strerror})"
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            for name, error_text in find_images(Path(entry.path), skipped):
                yield (entry.name if name == "." else f"{entry.name}/{name}"), error_text
        elif Path(entry.name).suffix.lower() in IMAGE_SUFFIXES:
            yield entry.name, None
        else:
            skipped(entry.name)


def printable(name: str) -> str:
    """A file name as UTF-8: bytes that are none are written as \\udcXX, so that different names stay different."""
    return name.encode("utf-8", "backslashreplace").decode()


def score_folder(
    recognizer: ExpressionRecognizer,
    folder: str | Path,
    output: str | Path,
    *,
    crops: bool = False,
    batch_size: int = 32,
    workers: int | None = None,
    decimals: int | None = None,
    model_name: str = "",
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Summary:
    """
    Score all images under `folder` into a table.

    Until the table is complete, results stand in `.OUTPUT.journal` beside it; the same call goes on from there.

    Args:
        output: file that ends in .csv or .parquet; columns as in `score_columns`, one row per face, and one with
            `error` for an image that has no face or cannot be read.
        crops: every image is one face, already cropped and aligned.
        batch_size: images per unit of work.
        workers: threads that decode and search; None for one per core.
        decimals: of the numbers in CSV.
        model_name: noted in the journal, so that a run is not continued with another model.
        overwrite: replace an existing output.
        progress: called with the number of images done and found.

    Raises:
        ValueError: if the folder or the output cannot be used, or the journal there has other settings.
    """
    folder, output = Path(folder), Path(output)
    check_output(output, FORMATS)
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    journal_path = output.with_name(f".{output.name}.journal")
    if output.exists() and not journal_path.exists() and not overwrite:
        raise ValueError(f"{output.name} exists already; give another name or --overwrite")
    skipped: list[str] = []
    names = [(printable(name), name, error) for name, error in find_images(folder, skipped.append)]
    columns = score_columns(recognizer.emotions, crops)
    journal = Journal(
        journal_path, {"model": model_name, "folder": folder.name, "crops": crops, "columns": list(columns)}
    )
    try:
        todo = [entry for entry in names if entry[0] not in journal.done]
        resumed = len(names) - len(todo)
        progress(resumed, len(names))
        results = score_batches(recognizer, folder, todo, crops, batch_size, workers or os.cpu_count() or 1)
        for done, batch in enumerate_images(results, resumed):
            for image, scores in batch:
                journal.append(image.name, journal_rows(image, scores))
            journal.flush()
            progress(done, len(names))
        found = {entry[0] for entry in names}
        summary = write_table(journal, found, output, columns, recognizer.emotions, crops, decimals)
        journal.delete()
    except BaseException:
        journal.close()
        raise
    summary.images, summary.resumed, summary.skipped_files = len(names), resumed, len(skipped)
    return summary


def enumerate_images(batches: Iterable[list], start: int) -> Iterator[tuple[int, list]]:
    """Each batch with the number of images done when it is."""
    for batch in batches:
        start += len(batch)
        yield start, batch


def score_batches(
    recognizer: ExpressionRecognizer,
    folder: Path,
    names: list[tuple[str, str, str | None]],
    crops: bool,
    batch_size: int,
    workers: int,
) -> Iterator[list[tuple[Prepared, np.ndarray]]]:
    """Images in the order of `names`, each with its scores float32 (faces, classes), batch by batch."""
    batches = (names[start : start + batch_size] for start in range(0, len(names), batch_size))
    local = threading.local()

    def work(batch: list) -> tuple[list[Prepared], torch.Tensor | None]:
        if not crops and not hasattr(local, "detector"):
            local.detector = copy_detector(recognizer.detector)  # one pass at a time through each
        return prepare_batch(recognizer, folder, batch, None if crops else local.detector)

    with ThreadPoolExecutor(workers) as pool:
        for images, values in ordered_map(pool, work, batches, ahead=workers + 1):
            scores = score_values(recognizer, values, batch_size)
            ends = np.cumsum([len(image.face_rows) for image in images])
            yield list(zip(images, np.split(scores, ends[:-1]), strict=True))


def ordered_map(pool: ThreadPoolExecutor, function: Callable, items: Iterable, ahead: int) -> Iterator:
    """Like `pool.map`, but never more than `ahead` results are under way, so that memory stays flat."""
    waiting: deque[Future] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def copy_detector(detector: FaceDetector) -> FaceDetector:
    """Another detector with the same options, which does not wait for this one."""
    return FaceDetector(detector.min_score, detector.tile_scales, detector.min_size, detector.verify)


def prepare_batch(
    recognizer: ExpressionRecognizer, folder: Path, batch: list, detector: FaceDetector | None
) -> tuple[list[Prepared], torch.Tensor | None]:
    """Read the images and bring their faces to the network's input (faces, channels, height, width)."""
    images, values, held = [], [], []
    for shown, name, error in batch:
        image, pixels = read_faces(folder / name, shown, error, recognizer.margin, detector)
        images.append(image)
        held += pixels
        if sum(crop.size // 3 for crop in held) > HELD_PIXELS:
            values.append(recognizer.pixel_values(held))
            held = []
    if held:
        values.append(recognizer.pixel_values(held))
    return images, torch.cat(values) if values else None


def read_faces(
    path: Path, shown: str, error: str | None, margin: float, detector: FaceDetector | None
) -> tuple[Prepared, list[np.ndarray]]:
    """One image's faces, largest first, and their crops; without a detector the image is the crop."""
    if error is not None:
        return Prepared(shown, error=error), []
    try:
        pixels = load_image(path)
    except ValueError as problem:
        # the message begins with the file's name, which has a column of its own
        return Prepared(shown, error=printable(str(problem).removeprefix(f"{path.name}: "))), []
    if detector is None:
        return Prepared(shown, [[]]), [pixels]
    found = sorted(detector(pixels), key=lambda d: -d.box[2])
    if not found:
        return Prepared(shown, error=NO_FACE), []
    rows = [[number, *(round(v, 2) for v in d.box), round(d.score, 4)] for number, d in enumerate(found, 1)]
    return Prepared(shown, rows), [crop_face(pixels, d, margin).image for d in found]


@torch.inference_mode()
def score_values(recognizer: ExpressionRecognizer, values: torch.Tensor | None, batch_size: int) -> np.ndarray:
    """Probabilities float32 (n, classes) of the network's inputs (n, c, h, w)."""
    if values is None:
        return np.zeros((0, len(recognizer.emotions)), np.float32)
    rows = [recognizer.model(part).logits.float().softmax(-1) for part in values.split(batch_size)]
    return torch.cat(rows).cpu().numpy()


def journal_rows(image: Prepared, scores: np.ndarray) -> list[list]:
    """Rows as the journal keeps them: [number, x, y, width, height, detection score, *scores], or [reason]."""
    if image.error is not None:
        return [[image.error]]
    return [
        face + [round(score, 6) for score in row.tolist()] for face, row in zip(image.face_rows, scores, strict=True)
    ]


def write_table(
    journal: Journal,
    names: set[str],
    output: Path,
    columns: dict[str, type],
    emotions: tuple[str, ...],
    crops: bool,
    decimals: int | None,
) -> Summary:
    """The journal's rows as a table; images that were deleted since they were scored are left out."""
    summary = Summary()
    lead = [] if crops else ["face", "x", "y", "width", "height", "detection_score"]
    with TableWriter(output, columns, decimals) as table:
        for name, rows in journal.entries():
            if name not in names:
                continue
            for row in rows:
                cells = {"filepath": name}
                if len(row) == 1:
                    cells["error"] = row[0]
                    summary.without_face += row[0] == NO_FACE
                    summary.failed += row[0] != NO_FACE
                else:
                    cells |= dict(zip([*lead, *emotions], row, strict=True))
                    summary.faces += 1
                    if not crops:
                        best = max(emotions, key=cells.__getitem__)
                        cells |= {"emotion": best, "confidence": cells[best]}
                table.write(cells)
    return summary
