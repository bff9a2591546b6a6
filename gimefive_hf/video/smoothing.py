"""Scores of one person over time: an exponential filter, and a name that does not flicker."""

import math

import numpy as np
from numpy.typing import NDArray


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
