"""
Expressions in a video: persons followed, their scores over time, the frames annotated.

    with VideoReader("in.mp4") as reader:
        for result in watch(fer, reader, explain="grad-cam"):
            for person in result.people:
                print(result.frame.time, person.number, person.emotion, person.confidence)
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from ..faces.cropping import FaceCrop, crop_face
from ..faces.detections import Detection
from ..faces.tracking import FaceTracker
from ..recognizer import ExpressionRecognizer, Face
from ..runtimes.predictor import Predictor, predict_and_explain_crops
from .centring import SIGMA, centred
from .files import VideoFrame, VideoReader
from .outputs import VideoOutputs
from .people import FrameResult, Person, PersonBook

T = TypeVar("T")

# The usual time constant in seconds of scores that are smoothed with what was alone.
TIME_CONSTANT = 0.3
# Decoded pixels per batch of frames: eight frames of 640×480, one of 8K.
BATCH_PIXELS = 8 * 640 * 480


def watch(
    recognizer: ExpressionRecognizer,
    frames: Iterable[VideoFrame],
    *,
    explain: str | None = None,
    landmarks: bool = False,
    every: int = 1,
    average_views: bool = False,
    time_constant: float = TIME_CONSTANT,
    hold: int = 5,
    batch_size: int = 8,
    tracker: FaceTracker | None = None,
    book: PersonBook | None = None,
) -> Generator[FrameResult, None, None]:
    """
    Follow the persons through `frames` and score them; one result per frame, in order.

    Args:
        frames: as `VideoReader` gives them; any iterable of `VideoFrame` with rising times.
        explain: method of the heat maps, see `explain.METHODS`; None for none.
        landmarks: also find the 68 landmarks of each face.
        every: analyse each so many-th frame; the frames between repeat the last result.
        average_views: also score the mirrored and zoomed crops that the model's config names for photos. Off, because
            it multiplies the network's time, and the smoothing averages over several views of a face anyway.
        time_constant: of the smoothing, in seconds; 0 for none.
        hold: analysed frames for which a dominant expression stays at least.
        batch_size: frames that are scored together; 1 for a camera.
        tracker, book: of an earlier call, to go on from there; then `time_constant` and `hold` are the book's.
    """
    if every < 1 or batch_size < 1:
        raise ValueError(f"every and batch_size must be at least 1; got {every} and {batch_size}")
    tracker = tracker or FaceTracker(recognizer.detector)
    book = book or PersonBook(recognizer.emotions, time_constant, hold)
    last: list[Person] = []
    # a camera's frame waits for nobody; a file's are tracked in a thread of their own
    ahead = 2 * batch_size if batch_size > 1 else 0
    tracked = prefetch(follow(frames, tracker, recognizer.margin, every, landmarks), ahead)
    for batch in batched(tracked, batch_size):
        crops = [crop.image for sighting in batch for _, _, crop, _ in sighting.found or ()]
        scores, heats = predict_and_explain_crops(recognizer.predictor, crops, explain, average_views)
        place = 0
        for sighting in batch:
            if sighting.found is not None:
                last = []
                for number, detection, crop, points in sighting.found:
                    by_name = dict(zip(recognizer.emotions, scores[place].tolist(), strict=True))
                    threshold = recognizer.predictor.threshold
                    face = Face(detection.box, detection.score, by_name, crop, points, threshold)
                    heat = None if heats is None else heats[place]
                    last.append(book.update(number, face, heat, sighting.frame.time))
                    place += 1
            people = [] if sighting.frame.image is None else last
            yield FrameResult(sighting.frame, people, sighting.found is not None)


@dataclass(frozen=True)
class Sighting:
    """A frame, and the faces found in it as (person, detection, crop, landmarks); None where nobody looked."""

    frame: VideoFrame
    found: list[tuple[int, Detection, FaceCrop, NDArray[np.float32] | None]] | None


def follow(
    frames: Iterable[VideoFrame], tracker: FaceTracker, margin: float, every: int, landmarks: bool
) -> Iterator[Sighting]:
    """Track the faces through the frames and cut them out."""
    for frame in frames:
        if frame.image is None or frame.index % every:
            yield Sighting(frame, None)
            continue
        found = []
        for number, detection, points in tracker.update(frame.image, frame.time, landmarks):
            found.append((number, detection, crop_face(frame.image, detection, margin), points))
        yield Sighting(frame, found)


def leaving_a_core(items: Iterable[T], predictor: Predictor) -> Generator[T, None, None]:
    """
    The same items, for which the network computes with one thread less: decoding, tracking and encoding run meanwhile,
    and threads that wait for a core that these keep busy would stop them all.
    """
    before = predictor.use_threads(1)
    predictor.use_threads(max(1, before - 1))
    try:
        yield from items
    finally:
        predictor.use_threads(before)


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items, the last one maybe shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def prefetch(items: Iterable[T], ahead: int) -> Generator[T, None, None]:
    """The same items, made by another thread up to `ahead` in advance; 0 makes them here."""
    if not ahead:
        yield from items
        return
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as thread:
        waiting = deque(thread.submit(next, iterator, end) for _ in range(ahead))
        try:
            while (item := waiting.popleft().result()) is not end:
                waiting.append(thread.submit(next, iterator, end))
                yield cast(T, item)
        finally:
            for future in waiting:
                future.cancel()
            if isinstance(iterator, Generator):
                thread.submit(iterator.close)  # where it ran


@dataclass
class VideoSummary:
    """
    What became of a video; `without_face` counts the analysed frames in which nobody was found, and `announced` is the
    number of frames that the file's header promises, where it promises one.
    """

    frames: int = 0
    analysed: int = 0
    broken: int = 0
    without_face: int = 0
    persons: int = 0
    seconds: float = 0.0
    announced: int | None = None
    stopped: bool = False
    errors: list[str] = field(default_factory=list)

    @property
    def is_cut(self) -> bool:
        """Whether the file ended well before what its header promises, which is often an estimate."""
        return not self.stopped and self.announced is not None and self.frames < 0.9 * self.announced - 1


def annotate_video(
    recognizer: ExpressionRecognizer,
    source: str | Path,
    output: str | Path | None = None,
    timeline: str | Path | None = None,
    *,
    explain: str | None = None,
    landmarks: bool = False,
    every: int = 1,
    average_views: bool = False,
    smooth: float | None = None,
    centre: bool = True,
    audio: bool = True,
    max_seconds: float | None = None,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> VideoSummary:
    """
    Annotate a video file and write its timeline; either output may be None.

    Args:
        output: .mp4 with boxes, names, bars, and what `explain` and `landmarks` ask for; the original times and sound.
        timeline: .csv or .parquet, one row per analysed frame and person, see `timeline`.
        smooth: seconds over which scores are smoothed: the standard deviation of the weights around each moment, or
            with `centre` off the time constant of `watch`; 0 for none, None for the usual (0.25 and 0.3).
        centre: smooth with what comes as with what was, so that names do not lag; off, as a live camera must.
        max_seconds: stop there.
        stop: asked before every frame; True ends the work, and what was done so far is kept as whole files.
        progress: called with the number of frames done and the estimate of all, which may be None.

    Raises:
        ValueError: if the input is no video or has no frame; nothing is left behind then.
        OSError: if the disk is full or the outputs' folder is gone; likewise.
    """
    summary = VideoSummary()
    people: set[int] = set()
    with VideoReader(source) as reader:
        summary.announced = reader.frame_count
        size = int(np.clip(BATCH_PIXELS // (reader.width * reader.height), 1, 8))
        results = watch(
            recognizer,
            prefetch(reader, size),
            explain=explain,
            landmarks=landmarks,
            every=every,
            average_views=average_views,
            time_constant=TIME_CONSTANT if smooth is None else smooth,
            batch_size=size,
        )
        results = prefetch(leaving_a_core(results, recognizer.predictor), size)
        if centre and smooth != 0:
            results = centred(results, SIGMA if smooth is None else smooth)
        outputs: VideoOutputs | None = None
        try:
            outputs = VideoOutputs(recognizer, reader, output, timeline, landmarks, audio)
            for result in results:
                if stop() or (max_seconds is not None and result.frame.time > max_seconds):
                    summary.stopped = True
                    break
                count(summary, people, result)
                outputs.write(result)
                progress(summary.frames, reader.frame_count)
            results.close()  # its threads read the file, which must stay open until they have ended
            outputs.close(whole=not summary.stopped)
        except BaseException:
            results.close()
            if outputs is not None:
                outputs.abort()
            raise
    return summary


def count(summary: VideoSummary, people: set[int], result: FrameResult) -> None:
    """Add one result to the summary."""
    summary.frames += 1
    summary.seconds = result.frame.time
    if result.frame.error is not None:
        summary.broken += 1
        if len(summary.errors) < 20:
            summary.errors.append(f"frame {result.frame.index} at {result.frame.time:.2f} s: {result.frame.error}")
    summary.analysed += result.analysed
    summary.without_face += result.analysed and not result.people
    people.update(person.number for person in result.people)
    summary.persons = len(people)
