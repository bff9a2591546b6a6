"""Scores smoothed around each moment, where a video is known before and after it: names and bars that do not lag."""

from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .people import FrameResult, Person

# The usual standard deviation in seconds: a smile takes half a second to come.
SIGMA = 0.25
# Standard deviations after which a moment weighs nothing.
REACH = 3.0
# Bytes of the frames that wait for what comes after them; of very large ones only a few can.
MOST_BYTES = 256_000_000


@dataclass
class Moments:
    """When a person was seen, in seconds, and with which scores."""

    times: deque[float]
    scores: deque[NDArray[np.float64]]

    def forget(self, before: float) -> None:
        """Forget all but the last of what was before that time."""
        while len(self.times) > 1 and self.times[1] < before:
            self.times.popleft()
            self.scores.popleft()

    def around(self, time: float, sigma: float) -> NDArray[np.float64]:
        """The weighted mean (classes,) around `time`: as much of what comes as of what was."""
        distances = (np.array(self.times) - time) / sigma
        weights = np.exp(-(distances**2) / 2) * (np.abs(distances) <= REACH)
        if not weights.any():
            weights[np.abs(distances).argmin()] = 1
        return weights @ np.array(self.scores) / weights.sum()


def centred(results: Generator[FrameResult], sigma: float = SIGMA) -> Generator[FrameResult]:
    """
    The same results, some frames later, with each person's `smoothed` and `emotion` made anew from what comes before
    and after: Gaussian weights with a standard deviation of `sigma` seconds. Closes `results` when it is closed.
    """
    waiting: deque[FrameResult] = deque()
    people: dict[int, Moments] = {}
    held = 0
    try:
        for result in results:
            if result.analysed:
                remember(people, result)
            waiting.append(result)
            held += size(result)
            while due(waiting, result.frame.time - REACH * sigma, held):
                first = waiting.popleft()
                held -= size(first)
                yield anew(first, people, sigma)
            forget(people, waiting, sigma)
        while waiting:
            yield anew(waiting.popleft(), people, sigma)
    finally:
        results.close()


def due(waiting: deque[FrameResult], before: float, held: int) -> bool:
    """Whether all that weighs on the oldest frame is known, which is so `before` that time, or no more can wait."""
    return waiting[0].frame.time <= before or (held > MOST_BYTES and len(waiting) > 1)


def size(result: FrameResult) -> int:
    return 0 if result.frame.image is None else result.frame.image.nbytes


def remember(people: dict[int, Moments], result: FrameResult) -> None:
    """Take in who is in a frame."""
    for person in result.people:
        moments = people.setdefault(person.number, Moments(deque(), deque()))
        moments.times.append(result.frame.time)
        moments.scores.append(np.array(list(person.face.scores.values()), np.float64))


def forget(people: dict[int, Moments], waiting: deque[FrameResult], sigma: float) -> None:
    """Forget what no waiting frame reaches back to, and who is in none and seen no more."""
    since = waiting[0].frame.time - REACH * sigma
    present = {person.number for result in waiting for person in result.people}
    for number, moments in list(people.items()):
        moments.forget(since)
        if number not in present and moments.times[-1] < since:
            del people[number]


def anew(result: FrameResult, people: dict[int, Moments], sigma: float) -> FrameResult:
    return replace(result, people=list(named_anew(result, people, sigma)))


def named_anew(result: FrameResult, people: dict[int, Moments], sigma: float) -> Iterator[Person]:
    for person in result.people:
        smoothed = people[person.number].around(result.frame.time, sigma)
        scores = dict(zip(person.smoothed, smoothed.tolist(), strict=True))
        yield replace(person, smoothed=scores, emotion=max(scores, key=scores.__getitem__))
