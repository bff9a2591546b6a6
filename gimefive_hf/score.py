"""
Scores for every image of a folder: batches side by side in threads or on a Ray cluster, resumable at any moment.

    summary = score_folder(fer, "photos", "scores.csv")
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from .batch_scoring import NO_FACE, Entry, Listed, copy_detector, score_batch
from .image_folders import ImageFolder, printable
from .journal import Journal
from .recognizer import ExpressionRecognizer
from .tables import FORMATS, TableWriter, check_output

# Scores batches of files: (recogniser, folder, batches, crops) → the entries of each batch, in their order.
Engine = Callable[[ExpressionRecognizer, ImageFolder, Iterable[list[Listed]], bool], Iterator[list[Entry]]]


@dataclass
class Summary:
    """What became of a folder. `images` counts all that were found; some had no face, failed or were resumed."""

    images: int = 0
    faces: int = 0
    without_face: int = 0
    failed: int = 0
    resumed: int = 0
    skipped_files: int = 0


def score_columns(emotions: Iterable[str], crops: bool) -> dict[str, type]:
    """The columns of the result: for crops the paper's, filepath and scores, and the reason of a failure."""
    scores = dict.fromkeys(emotions, float)
    if crops:
        return {"filepath": str, **scores, "error": str}
    box = dict.fromkeys(("x", "y", "width", "height", "detection_score"), float)
    return {"filepath": str, "face": int, **box, **scores, "emotion": str, "confidence": float, "error": str}


def score_folder(
    recognizer: ExpressionRecognizer,
    folder: str | Path,
    output: str | Path,
    *,
    crops: bool = False,
    batch_size: int = 32,
    workers: int | None = None,
    engine: Engine | None = None,
    decimals: int | None = None,
    model_name: str = "",
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Summary:
    """
    Score all images under `folder` into a table.

    Until the table is complete, results stand in `.OUTPUT.journal` beside it; the same call goes on from there.

    Args:
        folder: a path, or an address as fsspec knows them, such as s3://bucket/folder.
        output: file that ends in .csv or .parquet; columns as in `score_columns`, one row per face, and one with
            `error` for an image that has no face or cannot be read.
        crops: every image is one face, already cropped and aligned.
        batch_size: images per unit of work.
        workers: threads, each of which takes a batch from the file to the scores; None for one per core.
        engine: what scores the batches instead of threads of this process, see `score_ray.RayEngine`.
        decimals: of the numbers in CSV.
        model_name: noted in the journal, so that a run is not continued with another model.
        overwrite: replace an existing output.
        progress: called with the number of images done and found.

    Raises:
        ValueError: if the folder or the output cannot be used, or the journal there has other settings.
    """
    output = Path(output)
    check_output(output, FORMATS)
    images = ImageFolder(folder)
    journal_path = output.with_name(f".{output.name}.journal")
    if output.exists() and not journal_path.exists() and not overwrite:
        raise ValueError(f"{output.name} exists already; give another name or --overwrite")
    skipped: list[str] = []
    listed = list(images.find(skipped.append))
    columns = score_columns(recognizer.emotions, crops)
    settings = {"model": model_name, "folder": images.name, "crops": crops, "columns": list(columns)}
    journal = Journal(journal_path, settings)
    try:
        todo = [entry for entry in listed if printable(entry[0]) not in journal.done]
        done = resumed = len(listed) - len(todo)
        progress(done, len(listed))
        batches = (todo[start : start + batch_size] for start in range(0, len(todo), batch_size))
        engine = engine or ThreadEngine(workers or os.cpu_count() or 1)
        for entries in engine(recognizer, images, batches, crops):
            for name, rows in entries:
                journal.append(name, rows)
            journal.flush()
            done += len(entries)
            progress(done, len(listed))
        found = {printable(name) for name, _ in listed}
        summary = write_table(journal, found, output, columns, recognizer.emotions, crops, decimals)
        journal.delete()
    except BaseException:
        journal.close()
        raise
    summary.images, summary.resumed, summary.skipped_files = len(listed), resumed, len(skipped)
    return summary


@dataclass(frozen=True)
class ThreadEngine:
    """
    Threads of this process, each of which takes a batch from the file to the scores.

    The network computes on one thread for each: batches side by side wait for nobody, while the threads of one pass
    wait for each other at every layer.
    """

    threads: int

    def __call__(
        self, recognizer: ExpressionRecognizer, folder: ImageFolder, batches: Iterable[list[Listed]], crops: bool
    ) -> Iterator[list[Entry]]:
        local = threading.local()
        before = torch.get_num_threads()

        def start() -> None:
            torch.set_num_threads(1)  # OpenMP keeps the number per thread
            # one pass at a time through each detector
            local.detector = None if crops else copy_detector(recognizer.detector)

        def work(batch: list[Listed]) -> list[Entry]:
            return score_batch(recognizer, folder, batch, local.detector)

        try:
            with ThreadPoolExecutor(self.threads, initializer=start) as pool:
                yield from ordered_map(pool, work, batches, ahead=self.threads + 1)
        finally:
            torch.set_num_threads(before)


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
