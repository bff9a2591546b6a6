"""
Scores for every image of a folder: batches side by side in threads or on a Ray cluster, resumable at any moment.

    summary = score_folder(fer, "photos", "scores.csv")
"""

import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ..recognizer import ExpressionRecognizer
from ..tables import FORMATS, TableWriter, check_output, clear_write_errors
from ..version import __version__
from .batches import NO_FACE, Entry, Listed, score_batch
from .journal import Journal
from .listing import ImageFolder, printable

# Scores batches of files: (recogniser, folder, batches, crops) → the entries of each batch, in their order.
Engine = Callable[[ExpressionRecognizer, ImageFolder, Iterable[list[Listed]], bool], Iterator[list[Entry]]]


# So many files that could not be read are named in the summary; the table has them all.
MAX_ERRORS = 20


@dataclass
class Summary:
    """
    What became of a folder. `images` counts all that were found; some had no face, failed or were resumed.

    `changed` images stood in an unfinished run's journal and were scored again, because the file is another one now;
    `errors` are the first `MAX_ERRORS` of those that failed, as "path: reason".
    """

    images: int = 0
    faces: int = 0
    without_face: int = 0
    failed: int = 0
    resumed: int = 0
    changed: int = 0
    skipped_files: int = 0
    errors: list[str] = field(default_factory=list)


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
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Summary:
    """
    Score all images under `folder` into a table.

    Until the table is complete, results stand in `.OUTPUT.journal` beside it; the same call goes on from there. It must
    be the same folder and the very same network; an image that is no longer the one that was scored is scored again.

    Args:
        folder: a path, or an address as fsspec knows them, such as s3://bucket/folder.
        output: file that ends in .csv or .parquet; columns as in `score_columns`, one row per face, and one with
            `error` for an image that has no face or cannot be read.
        crops: every image is one face, already cropped and aligned.
        batch_size: images per unit of work.
        workers: threads, each of which takes a batch from the file to the scores; None for one per core.
        engine: what scores the batches instead of threads of this process, see `score_ray.RayEngine`.
        decimals: of the numbers in CSV.
        overwrite: replace an existing output.
        progress: called with the number of images done and found.

    Raises:
        ValueError: if the folder or the output cannot be used, or the journal there has other settings.
        OSError: if the disk is full or the output's folder was removed; what was scored is kept as far as it can be.
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
    settings = {
        "folder": images.address,
        "network": recognizer_identity(recognizer),
        "crops": crops,
        "columns": list(columns),
    }
    journal = Journal(journal_path, settings)
    engine = engine or ThreadEngine(workers or os.cpu_count() or 1)
    try:
        with clear_write_errors(journal_path, "when that is mended, the same call goes on from what was scored"):
            todo = [entry for entry in listed if not is_done(entry, images, journal)]
            scored = len(listed) - len(todo)
            changed = sum(printable(name) in journal.done for name, _ in todo)
            for count in append_scores(journal, engine, recognizer, images, todo, crops, batch_size):
                progress(scored + count, len(listed))
        with clear_write_errors(output, f"when that is mended, the same call makes it of {journal_path.name}"):
            found = {printable(name) for name, _ in listed}
            summary = write_table(journal, found, output, columns, recognizer.emotions, crops, decimals)
        journal.delete()
    except BaseException:
        journal.close()
        raise
    summary.images, summary.resumed, summary.changed, summary.skipped_files = len(listed), scored, changed, len(skipped)
    return summary


def recognizer_identity(recognizer: ExpressionRecognizer) -> str:
    """
    The first 16 hex digits of a sha256 over weights, configuration, preprocessing, precision, detector and version.

    A name or path tells nothing: other weights may stand there tomorrow, and the same ones elsewhere.
    """
    facts = [__version__, recognizer.predictor.fingerprint(), recognizer.margin, repr(recognizer.detector)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def append_scores(
    journal: Journal,
    engine: Engine,
    recognizer: ExpressionRecognizer,
    images: ImageFolder,
    todo: list[tuple[str, str | None]],
    crops: bool,
    batch_size: int,
) -> Iterator[int]:
    """Score the images and note them in the journal; yields how many are done, first 0."""
    done = 0
    yield done
    entries = [(name, error, images.listed_stamp(name)) for name, error in todo]
    batches = (entries[start : start + batch_size] for start in range(0, len(entries), batch_size))
    for batch in engine(recognizer, images, batches, crops):
        for entry in batch:
            journal.append(*entry)
        journal.flush()
        done += len(batch)
        yield done


def is_done(listed: tuple[str, str | None], images: ImageFolder, journal: Journal) -> bool:
    """Whether the journal has this image, and the file is the one that was scored."""
    name, error = listed
    key = printable(name)
    stamp = journal.done.get(key)
    return error is None and stamp is not None and stamp == images.stamp(name)


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
        before = recognizer.predictor.use_threads(1)

        work = partial(score_batch, recognizer, folder, detector=None if crops else recognizer.detector)
        try:
            with ThreadPoolExecutor(self.threads, initializer=recognizer.predictor.use_threads, initargs=(1,)) as pool:
                yield from ordered_map(pool, work, batches, ahead=self.threads + 1)
        finally:
            recognizer.predictor.use_threads(before)


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
                    if row[0] != NO_FACE:
                        summary.failed += 1
                        summary.errors += [f"{name}: {row[0]}"] * (len(summary.errors) < MAX_ERRORS)
                else:
                    cells |= dict(zip([*lead, *emotions], row, strict=True))
                    summary.faces += 1
                    if not crops:
                        best = max(emotions, key=cells.__getitem__)
                        cells |= {"emotion": best, "confidence": cells[best]}
                table.write(cells)
    return summary
