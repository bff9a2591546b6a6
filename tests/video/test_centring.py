"""Scores smoothed around each moment: nothing lags, whatever the frame rate, and frames come out whole and in order."""

import numpy as np
import pytest

from gimefive_hf.faces.cropping import FaceCrop
from gimefive_hf.recognizer import Face
from gimefive_hf.video import centring
from gimefive_hf.video.centring import centred
from gimefive_hf.video.files import VideoFrame
from gimefive_hf.video.people import FrameResult, Person

CROP = FaceCrop(np.zeros((1, 1, 3), np.uint8), np.eye(2, 3))


def results(times, happy, analysed=lambda index: True, numbers=(1,)):
    """A person whose smoothed scores are nonsense; frames that are not analysed repeat the last result."""
    last = []
    for index, (time, share) in enumerate(zip(times, happy, strict=True)):
        if analysed(index):
            scores = {"happiness": float(share), "anger": float(1 - share)}
            face = Face((0, 0, 9, 9), 1.0, scores, CROP, None, 0.6)
            last = [Person(number, face, dict.fromkeys(scores, -1.0), "anger") for number in numbers]
        yield FrameResult(VideoFrame(index, float(time), np.zeros((4, 4, 3), np.uint8)), last, analysed(index))


def happiness(out) -> np.ndarray:
    return np.array([result.people[0].smoothed["happiness"] for result in out])


@pytest.mark.parametrize("every", [1, 3])
def test_a_step_stays_where_it_is(every):
    times = np.arange(100) / 25
    out = list(centred(results(times, times >= 2, lambda index: index % every == 0)))
    assert [result.frame.index for result in out] == list(range(100))
    even = happiness(out)
    assert times[np.argmax(even >= 0.5)] == pytest.approx(2, abs=0.05 * every)
    assert (np.diff(even) >= -1e-9).all() and even[0] == 0 and even[-1] == 1
    names = [result.people[0].emotion for result in out]
    assert names == ["happiness" if share >= 0.5 else "anger" for share in even]
    middle = out[int(np.argmax(even >= 0.5))].people[0]
    assert middle.label == "no clear emotion", "under the threshold"


def test_gaps_and_waiting_frames():
    """A person who is seen before and after a gap, and frames too large to wait for long."""
    times = np.array([0.0, 0.1, 5.0, 5.1, 30.0])
    assert happiness(centred(results(times, [1, 1, 0, 0, 1]))) == pytest.approx([1, 1, 0, 0, 1])
    sparse = list(centred(results(times, [1, 0, 0, 0, 0], lambda index: index == 0)))
    assert happiness(sparse) == pytest.approx(np.ones(5)), "what is repeated keeps its only score"


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(centring, "MOST_BYTES", 5 * 48)
    taken = []

    def watched():
        for result in results(np.arange(50) / 25, np.ones(50)):
            taken.append(result.frame.index)
            yield result

    for result in centred(watched()):
        assert taken[-1] - result.frame.index <= 5
    assert len(taken) == 50


def test_closing_closes_the_source():
    closed = []

    def source():
        try:
            yield from results(np.arange(50) / 25, np.ones(50))
        finally:
            closed.append(True)

    stream = centred(source())
    next(stream)
    stream.close()
    assert closed == [True]
