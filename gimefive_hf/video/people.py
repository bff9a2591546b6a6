"""Persons in a video: their scores over time, and who is in a frame."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..recognizer import NO_CLEAR_EMOTION, Face
from .files import VideoFrame
from .smoothing import ScoreSmoother


@dataclass(frozen=True)
class Person:
    """
    A person in one frame.

    Attributes:
        number: from 1, the same through the video.
        face: box, raw scores, crop and landmarks in this frame.
        smoothed: expression → probability over time, see `ScoreSmoother`.
        emotion: the dominant expression of the smoothed scores, held for some frames.
        heat: float32 (H, W) in [0, 1] over the crop, or None.
    """

    number: int
    face: Face
    smoothed: dict[str, float]
    emotion: str
    heat: NDArray[np.float32] | None = field(default=None, repr=False)

    @property
    def confidence(self) -> float:
        """The smoothed score of `emotion`."""
        return self.smoothed[self.emotion]

    @property
    def label(self) -> str:
        """`emotion`, or "no clear emotion" where its score is under the model's threshold."""
        return self.emotion if self.confidence >= self.face.threshold else NO_CLEAR_EMOTION


@dataclass(frozen=True)
class FrameResult:
    """A frame and who is in it. `analysed` is False for frames between, which repeat the last result."""

    frame: VideoFrame
    people: list[Person]
    analysed: bool = True


class PersonBook:
    """The smoothed scores of everybody who was seen lately."""

    def __init__(self, emotions: Sequence[str], time_constant: float, hold: int, keep: float = 2.0):
        self.emotions = tuple(emotions)
        self.time_constant, self.hold, self.keep = time_constant, hold, keep
        self._smoothers: dict[int, tuple[ScoreSmoother, float]] = {}

    def update(self, number: int, face: Face, heat: NDArray[np.float32] | None, time: float) -> Person:
        """Take in the raw scores of a face at `time` in seconds."""
        smoother, _ = self._smoothers.get(number, (ScoreSmoother(self.time_constant, self.hold), time))
        smoothed = smoother.update(np.array(list(face.scores.values())), time)
        self._smoothers[number] = smoother, time
        if len(self._smoothers) > 64:  # a street scene must not fill the memory
            self._smoothers = {k: v for k, v in self._smoothers.items() if time - v[1] <= self.keep}
        named = dict(zip(self.emotions, smoothed.tolist(), strict=True))
        return Person(number, face, named, self.emotions[smoother.dominant], heat)
