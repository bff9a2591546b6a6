"""Following faces, and smoothing their scores."""

import math

import numpy as np
import pytest

from gimefive_hf import Detection, FaceDetector
from gimefive_hf.faces.detections import overlap
from gimefive_hf.faces.detector import windows
from gimefive_hf.faces.landmarks import landmarks_68
from gimefive_hf.faces.tracking import FaceTracker, generalised_iou, match, move_detection
from gimefive_hf.video.people import ScoreSmoother
from tests.cases.video_cases import moving_face


def test_generalised_iou_by_hand():
    assert generalised_iou((0, 0, 2, 2), (0, 0, 2, 2)) == pytest.approx(1)
    for other, expected in (
        ((1, 0, 2, 2), 2 / 6),  # 2×2 squares shifted by 1: intersection 2, union 6, hull 3×2
        ((3, 0, 2, 2), -2 / 10),  # one apart: union 8, hull 10
        ((2, 2, 2, 2), -8 / 16),  # diagonal neighbours that touch: union 8, hull 16
    ):
        assert generalised_iou((0, 0, 2, 2), other) == pytest.approx(expected)


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
        assert [number for number, _, _ in people] == [1, 2]
        assert people[0][1].box[0] < people[1][1].box[0]
        seen.append([detection.box[0] for _, detection, _ in people])
    assert np.ptp(seen, axis=0).min() > 5, "the faces must have moved"


class Counting(FaceDetector):
    """The real detector, and how many pieces of the frame and regions of faces were looked at."""

    def __init__(self):
        super().__init__()
        self.pieces, self.near = [], 0

    def search(self, image, pieces, known=()):
        self.pieces.append(len(pieces))
        return super().search(image, pieces, known)

    def detect_near(self, image, box):
        self.near += 1
        return super().detect_near(image, box)


def test_the_whole_frame_is_searched_at_once_and_then_by_pieces():
    detector = Counting()
    tracker = FaceTracker(detector, search_every=0.4)
    frames = moving_face(21)
    count = len(list(windows(*frames[0].shape[:2], detector.tile_scales)))
    for index, frame in enumerate(frames):
        assert len(tracker.update(frame, index / 25)) == 1
    assert detector.pieces[0] == count
    assert sum(detector.pieces[1:11]) == count, "once within 0.4 s"
    assert sum(detector.pieces[11:]) == count, "and once again"
    assert max(detector.pieces[1:]) <= count / 10 + 1
    assert detector.near == 20
    slow = Counting()
    tracker = FaceTracker(slow, search_every=0.4)
    for index, frame in enumerate(frames[:4]):
        assert len(tracker.update(frame, index)) == 1  # a frame a second: all of each
    assert slow.pieces == [count] * 4
    empty = Counting()
    tracker = FaceTracker(empty, search_empty_every=0.2)
    for index in range(11):
        assert tracker.update(np.zeros((240, 320, 3), np.uint8), index / 10) == []
    assert empty.pieces == [count] * 6


def test_a_second_face_is_found_within_the_interval_and_the_first_ones_box_is_left_alone():
    one, two = moving_face(1, people=2)[0], moving_face(1, people=2)[0]
    one[:, 160:] = 90

    def follow(search_every: float) -> tuple[list, list[int]]:
        tracker = FaceTracker(FaceDetector(), search_every=search_every)
        found = [tracker.update(one if index < 5 else two, index / 25) for index in range(19)]
        return [people[0][1].box for people in found], [len(people) for people in found]

    boxes, seen = follow(0.5)
    assert seen[:5] == [1] * 5
    assert seen[18] == 2
    assert (boxes, [1] * 19) == follow(60), "pieces of the search do not move a box that is followed"


def test_who_jumps_is_found_again_soon():
    frame = moving_face(1)[0]
    scene = np.full((480, 960, 3), 90, np.uint8)
    left, right = scene.copy(), scene.copy()
    left[:240, :320], right[240:, 640:] = frame, frame
    tracker = FaceTracker(FaceDetector(), search_every=60)
    assert len(tracker.update(left, 0)) == 1
    found = [len(tracker.update(right, 0.04 * index)) for index in range(1, 8)]
    assert found[-1] == 1, "within 0.2 s, though the next search by pieces would end after a minute"


def test_similarity_by_hand():
    points = np.array([[0, 0], [2, 0], [0, 2]], np.float32)
    face = Detection((1, 1, 2, 2), 0.9, points)
    # turned by 90° and doubled about the origin, then shifted by (10, 0): (x, y) → (10 − 2y, 2x)
    moved = move_detection(face, points, np.array([[10, 0], [10, 4], [6, 0]], np.float32))
    np.testing.assert_allclose(moved.box, (4, 2, 4, 4), atol=1e-6)
    np.testing.assert_allclose(moved.keypoints, [[10, 0], [10, 4], [6, 0]], atol=1e-6)
    assert moved.score == 0.9


def test_with_landmarks_the_detector_looks_in_every_third_frame_and_the_boxes_agree():
    frames = moving_face(24)
    sparse, dense = Counting(), Counting()
    often, seldom = FaceTracker(dense), FaceTracker(sparse)
    for index, frame in enumerate(frames):
        [(_, every, none)] = often.update(frame, index / 25)
        [(_, third, points)] = seldom.update(frame, index / 25, landmarks=True)
        assert none is None
        assert overlap(every.box, third.box)[0] > 0.85
        eyes = np.stack([points[36:42].mean(0), points[42:48].mean(0)])
        assert np.abs(eyes - third.keypoints[:2]).max() < 0.12 * third.box[2]
        exact = landmarks_68(frame, every)
        assert np.abs(points - exact).mean() < 0.02 * third.box[2], "as good as where the detector looks"
    assert (dense.near, sparse.near) == (23, 7)


def test_landmarks_are_not_followed_over_a_long_pause_nor_to_where_no_face_is():
    detector = Counting()
    tracker = FaceTracker(detector)
    frames = moving_face(8)
    for index, frame in enumerate(frames):
        tracker.update(frame, index / 5, landmarks=True)  # five frames a second
    assert detector.near == 7
    tracker.update(frames[-1], 7 / 5 + 0.04, landmarks=True)
    assert detector.near == 7
    assert tracker.update(np.full_like(frames[0], 90), 7 / 5 + 0.08, landmarks=True) == []
    assert detector.near == 8


def test_who_leaves_is_forgotten_after_a_while():
    frame, blank = moving_face(1)[0], np.zeros((240, 320, 3), np.uint8)

    def numbers(gap: float) -> list[int]:
        tracker = FaceTracker(FaceDetector(), keep=1.0)
        tracker.update(frame, 0)
        assert tracker.update(blank, 0.1) == []
        return [number for number, _, _ in tracker.update(frame, 0.1 + gap)]

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
