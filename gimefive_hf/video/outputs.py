"""What an analysed video is written to, the annotated video and the timeline: both whole, or neither."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..recognizer import ExpressionRecognizer
from ..tables import clear_write_errors
from .files import VideoReader, VideoWriter
from .overlay import draw_people
from .people import FrameResult
from .timeline import TimelineWriter

ADVICE = "make room and repeat the call"


class VideoOutputs:
    """
    Args:
        reader: the video that is analysed.
        output: .mp4 to write, or None.
        timeline: .csv or .parquet to write, or None.
        landmarks: the timeline has them.
        audio: take the sound over.

    Raises:
        OSError: like `write` and `close`, if the disk is full or the folder is gone; the text names the file. What
            was begun is removed by `abort`.
    """

    def __init__(
        self,
        recognizer: ExpressionRecognizer,
        reader: VideoReader,
        output: str | Path | None,
        timeline: str | Path | None,
        landmarks: bool,
        audio: bool,
    ):
        self._video: VideoWriter | None = None
        self._table: TimelineWriter | None = None
        self._paths = {"video": Path(output or ""), "table": Path(timeline or "")}
        try:
            if output is not None:
                shape = (reader.width, reader.height, reader.time_base, reader.rate)
                self._video = self._do("video", VideoWriter, output, *shape, audio=reader if audio else None)
            if timeline is not None:
                self._table = self._do("table", TimelineWriter, Path(timeline), recognizer.emotions, landmarks)
        except BaseException:
            self.abort()
            raise

    def _do(self, what: str, action: Callable, *args: Any, **options: Any) -> Any:
        with clear_write_errors(self._paths[what], ADVICE):
            return action(*args, **options)

    def write(self, result: FrameResult) -> None:
        """The rows of a frame, and its picture."""
        if self._table is not None:
            self._do("table", self._table.write, result)
        if self._video is not None and result.frame.image is not None:
            picture = draw_people(result.frame.image, result.people)
            self._do("video", self._video.write, picture, result.frame.time)

    def close(self, whole: bool) -> None:
        """Finish both files and name them. `whole`: the video was read to its end, so all of its sound is taken."""
        if self._video is not None:
            self._do("video", self._video.close, whole=whole)
        if self._table is not None:
            self._do("table", self._table.close)

    def abort(self) -> None:
        """Leave nothing behind."""
        for part in (self._video, self._table):
            if part is not None:
                part.abort()
