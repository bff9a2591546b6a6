"""Following faces, and smoothing their scores."""

import math

import numpy as np
import pytest

from gimefive_hf import Detection, FaceDetector
from gimefive_hf.smoothing import ScoreSmoother
from gimefive_hf.tracking import FaceTracker, generalised_iou, match

from .video_cases import moving_face


def test_generalised_iou_by_hand():
    assert generalised_iou((0, 0, 2, 2), (0, 0, 2, 2)) == pytest.approx(1)
    # 2×2 squares shifted by 1: intersection 2, union 6, hull 3×2
    assert generalised_iou((0, 0, 2, 2), (1, 0, 2, 2)) == pytest.approx(2 / 6)
    # one apart: union 8, hull 10
    assert generalised_iou((0, 0, 2, 2), (3, 0, 2, 2)) == pytest.approx(-2 / 10)
    # diagonal neighbours that touch: union 2, hull 4
    assert generalised_iou((0, 0, 1, 1), (1, 1, 1, 1)) == pytest.approx(-2 / 4)


def test_the_assignment_is_the_best_in_all_not_the_first_best():
    old = [(0, 0, 10, 10), (4, 0, 10, 10)]
    new = [(3, 0, 10, 10), (9, 0, 10, 10)]  # the best single pair is (1, 0), which would leave (0, 1) nearly apart
    assert sorted(match(old, new, min_giou=-0.1)) == [(0, 0), (1, 1)]
    assert match(old, [(100, 100, 10, 10)], min_giou=-0.1) == []
    assert match([], new, 0) == []
    # a hopeless pair must not take the good one's partner away
    assert match([(0, 0, 10, 10), (500, 0, 10, 10)], [(2, 0, 10, 10)], 0) == [(0, 0)]


def test_two_people_keep_their_numbers_on_real_moving_faces():
    tracker = FaceTracker(FaceDetector())
    seen = []
    for index, frame in enumerate(moving_face(30, people=2)):
        people = tracker.update(frame, index / 25)
        assert [number for number, _ in people] == [1, 2]
        assert people[0][1].box[0] < people[1][1].box[0]
        seen.append([detection.box[0] for _, detection in people])
    assert np.ptp(seen, axis=0).min() > 5, "the faces must have moved"


class Counting:
    """The real detector, and how often it was asked for what."""

    def __init__(self):
        self.detector, self.whole, self.near = FaceDetector(), 0, 0

    def __call__(self, image):
        self.whole += 1
        return self.detector(image)

    def detect_near(self, image, box):
        self.near += 1
        return self.detector.detect_near(image, box)


def test_whole_frames_are_searched_at_intervals_of_time():
    detector = Counting()
    tracker = FaceTracker(detector, search_every=0.4)
    for index, frame in enumerate(moving_face(21)):
        assert len(tracker.update(frame, index / 25)) == 1
    assert detector.whole == 3  # at 0, 0.4 and 0.8 s
    assert detector.near == 18
    empty = Counting()
    tracker = FaceTracker(empty, search_empty_every=0.2)
    for index in range(11):
        assert tracker.update(np.zeros((120, 160, 3), np.uint8), index / 10) == []
    assert empty.whole == 6


def test_who_leaves_is_forgotten_after_a_while():
    frame, blank = moving_face(1)[0], np.zeros((240, 320, 3), np.uint8)

    def numbers(gap: float) -> list[int]:
        tracker = FaceTracker(FaceDetector(), keep=1.0)
        tracker.update(frame, 0)
        assert tracker.update(blank, 0.1) == []
        return [number for number, _ in tracker.update(frame, 0.1 + gap)]

    assert numbers(0.6) == [1]
    assert numbers(1.6) == [2]


def test_a_wide_jump_is_another_person():
    tracker = FaceTracker(FaceDetector())
    points = np.zeros((6, 2), np.float32)
    tracker._assign([Detection((0, 0, 50, 50), 0.9, points)], 0.0)
    tracker._assign([Detection((10, 0, 50, 50), 0.9, points)], 0.1)
    assert [track.person for track in tracker.tracks] == [1]
    tracker._assign([Detection((200, 0, 50, 50), 0.9, points)], 0.2)
    assert [track.person for track in tracker.tracks] == [1, 2]


def test_the_filter_by_hand_and_at_any_frame_rate():
    def step(rate: int) -> float:
        smoother = ScoreSmoother(time_constant=0.5)
        smoother.update(np.array([0.0, 1.0]), 0.0)
        for index in range(1, rate + 1):
            scores = smoother.update(np.array([1.0, 0.0]), index / rate)
        assert scores.sum() == pytest.approx(1)
        return scores[0]

    for rate in (1, 25, 240):
        assert step(rate) == pytest.approx(1 - math.exp(-2))
    assert ScoreSmoother(0).update(np.array([0.3, 0.7]), 0.0).tolist() == [0.3, 0.7]
    raw = ScoreSmoother(0)
    raw.update(np.array([1.0, 0.0]), 0.0)
    assert raw.update(np.array([0.2, 0.8]), 0.1).tolist() == pytest.approx([0.2, 0.8])
    with pytest.raises(ValueError, match="hold >= 1"):
        ScoreSmoother(hold=0)


def test_the_name_is_held_for_five_frames():
    smoother = ScoreSmoother(time_constant=0, hold=5)
    names = []
    for index in range(12):
        smoother.update(np.eye(2)[index % 2], index / 25)  # flickers in every frame
        names.append(smoother.dominant)
    assert names == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0]
