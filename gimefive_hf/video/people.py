"""Persons in a video: their scores over time, and who is in a frame."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..recognizer import NO_CLEAR_EMOTION, Face
from .files import VideoFrame


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


class ScoreSmoother:
    """
    First-order low-pass filter of the probabilities, s ← s + (1 − exp(−Δt / τ)) (p − s), which is right for any frame
    rate, and the dominant expression, held for some frames.

    Args:
        time_constant: τ in seconds; after it, 63 % of a step are through. 0 does not smooth.
        hold: frames for which the dominant expression stays at least, once it is named.
    """

    def __init__(self, time_constant: float = 0.3, hold: int = 5):
        if time_constant < 0 or hold < 1:
            raise ValueError(f"expected time_constant >= 0 and hold >= 1; got {time_constant} and {hold}")
        self.time_constant, self.hold = time_constant, hold
        self.scores: NDArray[np.float64] | None = None
        self.dominant = 0
        self._time = 0.0
        self._held = 0

    def update(self, scores: NDArray[np.floating], time: float) -> NDArray[np.float64]:
        """The smoothed scores (classes,) after `scores` (classes,) at `time` in seconds; `dominant` is an index."""
        if self.scores is None:
            self.scores = np.array(scores, dtype=np.float64)
            self.dominant = int(self.scores.argmax())
        else:
            share = -math.expm1(-max(time - self._time, 0.0) / self.time_constant) if self.time_constant else 1.0
            self.scores = self.scores + share * (scores - self.scores)
        if self._held >= self.hold and int(self.scores.argmax()) != self.dominant:
            self.dominant = int(self.scores.argmax())
            self._held = 0
        self._held += 1
        self._time = time
        return self.scores


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
