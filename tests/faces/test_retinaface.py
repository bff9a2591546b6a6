"""RetinaFace, alone and beside BlazeFace: real faces that BlazeFace does not see, and nothing where nothing is."""

import pickle

import numpy as np
import pytest

from gimefive_hf import FaceDetector, detect_faces
from gimefive_hf.faces.detections import LEFT_EYE, MOUTH, NOSE, RIGHT_EYE, overlap
from gimefive_hf.faces.detector import LEAST_SECOND, agreed, windows
from gimefive_hf.faces.retinaface import RetinaFaceDetector, anchors, decode, to_detection
from gimefive_hf.faces.tracking import FaceTracker
from tests.cases.portrait import FACE_AT, LEFT_EYE_AT, MOUTH_AT, RIGHT_EYE_AT


def blazeface_sees(image: np.ndarray) -> int:
    detector = FaceDetector()
    return len(detector.search(image, windows(*image.shape[:2], detector.tile_scales)))


def test_finds_the_face_in_place(astronaut):
    (face,) = RetinaFaceDetector()(astronaut)
    assert overlap(face.box, FACE_AT)[0] > 0.75
    for point, place in ((RIGHT_EYE, RIGHT_EYE_AT), (LEFT_EYE, LEFT_EYE_AT), (MOUTH, MOUTH_AT)):
        assert np.abs(face.keypoints[point] - place).max() < 10
    assert np.isnan(face.keypoints[4:]).all()


def test_box_and_key_points_by_hand():
    centres, sides = anchors(64, 96)
    assert len(centres) == 2 * (12 * 8 + 6 * 4 + 3 * 2)
    assert centres[:3].tolist() == [[4, 4], [4, 4], [12, 4]]
    assert sides[:3, 0].tolist() == [16, 32, 16]
    last = slice(-1, None)  # the anchor of 512 px in the lower right cell of 32
    assert (centres[-1].tolist(), sides[-1].tolist()) == ([80, 48], [512])
    offsets = np.float32([[1, 0, np.log(0.5) / 0.2, np.log(0.25) / 0.2]])  # a tenth of a side right; 256 wide, 128 high
    boxes, points = decode(offsets, np.float32([[-1, 0, 1, 0, 0, 1, -1, 2, 1, 2]]), centres[last], sides[last])
    np.testing.assert_allclose(boxes, [[131.2 - 128, 48 - 64, 131.2 + 128, 48 + 64]], atol=1e-3)
    np.testing.assert_allclose(points[0, [0, 2]], [[80 - 51.2, 48], [80, 48 + 51.2]], atol=1e-3)
    face = to_detection(boxes[0], 0.75, points[0])
    side = 0.845 * 256
    assert face.box == pytest.approx((131.2 - side / 2, 48 + 0.08 * 256 - side / 2, side, side), abs=1e-3)
    assert face.keypoints[NOSE].tolist() == pytest.approx([80, 99.2])
    assert face.keypoints[MOUTH].tolist() == pytest.approx([80, 150.4])


@pytest.mark.parametrize("half", ["left", "right"])
def test_half_a_face_at_the_edge_is_found(astronaut, half):
    middle = 225
    picture = np.ascontiguousarray(astronaut[:, middle:] if half == "left" else astronaut[:, :middle])
    assert blazeface_sees(picture) == 0
    (face,) = detect_faces(picture)
    x, y, width, height = FACE_AT
    assert overlap(face.box, (x - middle if half == "left" else x, y, width, height))[0] > 0.5
    assert face.score > 0.8


def covered(photo: np.ndarray) -> np.ndarray:
    """The face of the photo hidden from under the eyes on."""
    photo = photo.copy()
    photo[115:210, 150:300] = (120, 110, 100)
    return photo


def test_half_hidden_face_is_found_alone_and_beside_another(astronaut):
    assert blazeface_sees(covered(astronaut)) == 0
    (face,) = detect_faces(covered(astronaut))
    assert overlap(face.box, FACE_AT)[0] > 0.5
    photo = np.hstack([astronaut, covered(astronaut)])
    assert blazeface_sees(photo) == 1
    found = sorted(detect_faces(photo), key=lambda face: face.box[0])
    assert len(found) == 2
    assert overlap(found[0].box, FACE_AT)[0] > 0.75
    assert overlap(found[1].box, (FACE_AT[0] + 512, *FACE_AT[1:]))[0] > 0.5


def test_both_networks_count():
    assert agreed(0.5, 0.5) == pytest.approx(1 / (1 + np.exp(-0.7)))
    assert agreed(0.3, 0.0) < 0.5 < agreed(0.3, 0.9)
    assert agreed(LEAST_SECOND, 1.0) > 0.5 > agreed(0.99 * LEAST_SECOND / 2, 1.0)
    assert 0 < agreed(0.0, 0.0) < agreed(1.0, 1.0) < 1


def test_the_detectors_own_bars_hold_for_it_too(astronaut):
    picture = np.ascontiguousarray(astronaut[:, 225:])
    (face,) = detect_faces(picture)
    assert detect_faces(picture, min_score=min(0.999, face.score + 0.001)) == []
    assert detect_faces(picture, min_size=face.box[2] + 1) == []


def test_a_video_does_not_wait_for_it(astronaut, monkeypatch):
    def called(self, image):
        raise AssertionError("a frame was shown to RetinaFace")

    monkeypatch.setattr(RetinaFaceDetector, "__call__", called)
    tracker = FaceTracker(FaceDetector(), max_near=0)  # a crowd, in which every whole frame is searched
    crowd = [len(tracker.update(covered(astronaut) if i else astronaut, i / 25)) for i in range(3)]
    assert crowd == [1, 0, 0]
    tracker = FaceTracker(FaceDetector())
    empty = np.zeros_like(astronaut)
    people = [len(tracker.update(frame, i / 25)) for i, frame in enumerate([empty, empty, *[astronaut] * 8, empty])]
    assert max(people) == 1
    assert people[0] == people[-1] == 0


def test_a_copy_finds_the_same(astronaut):
    detector = RetinaFaceDetector(min_score=0.5, sides=(256, 256))
    copy = pickle.loads(pickle.dumps(detector))
    assert repr(copy) == repr(detector) == "RetinaFaceDetector(min_score=0.5, sides=(256, 256))"
    assert [face.box for face in copy(astronaut)] == [face.box for face in detector(astronaut)]


@pytest.mark.parametrize("shape", [(1, 1), (3, 4000), (4000, 3), (33, 31)])
def test_pictures_of_odd_shapes(shape):
    assert RetinaFaceDetector()(np.zeros((*shape, 3), np.uint8)) == []


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: RetinaFaceDetector(min_score=0), "min_score must be between 0 and 1; got 0"),
        (lambda: RetinaFaceDetector(sides=(640, 320)), "the lesser first; got .640, 320."),
        (lambda: RetinaFaceDetector(sides=(8, 320)), "sides must be at least 32 pixels"),
        (lambda: RetinaFaceDetector()(np.zeros((4, 4), np.uint8)), "expected a uint8 RGB array"),
    ],
)
def test_mistakes_are_named(call, text):
    with pytest.raises(ValueError, match=text):
        call()
