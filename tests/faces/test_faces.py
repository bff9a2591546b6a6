"""Faces and landmarks on a real photo: found, in place, whatever its size and rotation; none where there is none."""

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image

from gimefive_hf import FaceDetector, crop_face, detect_faces, landmarks_68, load_image
from gimefive_hf.faces.cropping import CROP_MARGIN, warp_square
from gimefive_hf.faces.detections import LEFT_EYE, RIGHT_EYE, Detection, non_maximum_suppression, overlap
from gimefive_hf.faces.detector import windows
from gimefive_hf.faces.landmarks import LANDMARK_GROUPS, find_landmarks, mesh_to_68
from gimefive_hf.faces.onet import face_likelihood
from tests.cases.portrait import FACE_AT, LEFT_EYE_AT, MOUTH_AT, RIGHT_EYE_AT


def test_finds_the_face_in_place(astronaut):
    (face,) = detect_faces(astronaut)
    assert overlap(face.box, FACE_AT)[0] > 0.75
    assert np.abs(face.keypoints[[RIGHT_EYE, LEFT_EYE]] - [RIGHT_EYE_AT, LEFT_EYE_AT]).max() < 6
    assert 0.5 < face.score <= 1


def test_face_in_which_the_mesh_sees_none_is_found(astronaut):
    """A face out of focus, as far as profiles and hands are from what the mesh knows."""
    blurred = cv2.GaussianBlur(astronaut, (0, 0), 5)
    (face,) = detect_faces(blurred)
    assert overlap(face.box, FACE_AT)[0] > 0.6
    assert face.score < FaceDetector.SURE
    assert find_landmarks(blurred, face)[1] < FaceDetector.PRESENT
    assert face_likelihood(blurred, face.box) > FaceDetector.LIKELY


NO_FACES = ["coffee", "brick", "coins", "grass", "hubble_deep_field", "moon", "page", "rocket", "text"]


@pytest.mark.parametrize("name", NO_FACES)
def test_doubtful_places_are_no_faces(name):
    picture = load_image(Image.fromarray(getattr(skimage.data, name)()))
    doubtful = [] if name in ("coffee", "grass", "page") else FaceDetector(verify=False)(picture)
    assert detect_faces(picture) == []
    assert all(face_likelihood(picture, place.box) < 0.5 for place in doubtful)


@pytest.mark.parametrize("side", [32, 64, 200, 3000])
def test_close_up_of_any_size(astronaut, side):
    close_up = astronaut[40:210, 140:310]
    image = cv2.resize(close_up, (side, side), interpolation=cv2.INTER_AREA)
    faces = detect_faces(image)
    assert len(faces) == 1
    expected = np.array([174 - 140, 75 - 40, 100, 100]) * side / 170
    assert overlap(faces[0].box, tuple(expected))[0] > 0.6


def test_collage_of_faces_is_found_once_each(astronaut):
    face = cv2.resize(astronaut[20:230, 120:330], (110, 110), interpolation=cv2.INTER_AREA)
    scene = np.full((480, 640, 3), 90, np.uint8)
    places = [(20 + 150 * column, 20 + 150 * row) for row in range(3) for column in range(4)]
    for x, y in places:
        scene[y : y + 110, x : x + 110] = face
    centres = [(d.box[0] + d.box[2] / 2, d.box[1] + d.box[3] / 2) for d in detect_faces(scene)]
    assert len(centres) == 12
    for x, y in places:
        assert sum(x < cx < x + 110 and y < cy < y + 110 for cx, cy in centres) == 1


def test_landmarks_lie_on_eyes_mouth_and_chin(astronaut):
    (face,) = detect_faces(astronaut)
    points = landmarks_68(astronaut, face)
    assert points.shape == (68, 2)
    assert points.dtype == np.float32
    assert np.abs(points[LANDMARK_GROUPS["right eye"]].mean(0) - RIGHT_EYE_AT).max() < 4
    assert np.abs(points[LANDMARK_GROUPS["left eye"]].mean(0) - LEFT_EYE_AT).max() < 4
    assert np.abs(points[LANDMARK_GROUPS["mouth"]].mean(0) - MOUTH_AT).max() < 6
    assert points[8, 1] == points[LANDMARK_GROUPS["jaw"], 1].max()  # the chin is the lowest of the jaw
    assert find_landmarks(astronaut, face)[1] > 0.99
    assert find_landmarks(astronaut, (350.0, 20.0, 100.0, 100.0))[1] < 0.3


def test_landmarks_do_not_depend_on_resolution(astronaut):
    (face,) = detect_faces(astronaut)
    scaled = Detection(tuple(6 * value for value in face.box), face.score, face.keypoints * 6)
    points = landmarks_68(cv2.resize(astronaut, None, fx=6, fy=6), scaled)
    assert np.abs(points / 6 - landmarks_68(astronaut, face)).max() < 1.5


def test_mesh_map_covers_68_points_of_the_mesh():
    pairs = mesh_to_68()
    assert pairs.shape == (68, 2) and pairs.min() >= 0 and pairs.max() < 468
    assert len({tuple(sorted(pair)) for pair in pairs.tolist()}) == 68


@pytest.mark.parametrize("angle", [-35, 20, 40])
def test_crop_levels_the_eyes(astronaut, angle):
    matrix = cv2.getRotationMatrix2D((224, 125), angle, 1)
    turned = cv2.warpAffine(astronaut, matrix, (512, 512))
    (face,) = detect_faces(turned)
    crop = crop_face(turned, face, size=112)
    eyes = [matrix @ (*eye, 1) for eye in (RIGHT_EYE_AT, LEFT_EYE_AT)]
    in_crop = np.array([crop.matrix @ (*eye, 1) for eye in eyes]) / 112
    assert abs(in_crop[0, 1] - in_crop[1, 1]) < 0.06  # level
    # where the training crops have them: RAF-DB 0.25 and 0.73, FER2013 0.30 and 0.69; height 0.35 and 0.39
    assert in_crop[0] == pytest.approx((0.28, 0.36), abs=0.07)
    assert in_crop[1] == pytest.approx((0.71, 0.36), abs=0.07)


def test_crop_maps_pixels_to_where_it_says(astronaut):
    (face,) = detect_faces(astronaut)
    crop = crop_face(astronaut, face)
    x, y = crop.matrix @ (*RIGHT_EYE_AT, 1)
    patch = astronaut[RIGHT_EYE_AT[1] - 2 : RIGHT_EYE_AT[1] + 3, RIGHT_EYE_AT[0] - 2 : RIGHT_EYE_AT[0] + 3]
    in_crop = crop.image[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3]
    assert np.abs(patch.mean((0, 1)) - in_crop.mean((0, 1))).max() < 25


def test_crop_at_the_border_repeats_pixels():
    image = np.full((50, 50, 3), 120, np.uint8)
    assert (crop_face(image, (-20.0, -20.0, 60.0, 60.0), size=64).image == 120).all()


def test_crop_shrinks_to_the_photo_but_not_under_the_box(astronaut):
    box = (174.0, 73.0, 103.0, 103.0)
    whole = crop_face(astronaut, box)
    assert 1 / whole.matrix[0, 0] * len(whole.image) == pytest.approx(CROP_MARGIN * 103, rel=1e-6)
    # cut off 2 px right of the box: the crop's centre has 53.5 px of room on that side
    cut = crop_face(astronaut[:, : 174 + 103 + 2], box)
    assert len(cut.image) / cut.matrix[0, 0] == pytest.approx(107, rel=1e-6)
    assert cut.matrix[0] @ (174 + 103 + 1.5, 125, 1) == pytest.approx(len(cut.image) - 0.5, abs=1)
    tight = crop_face(astronaut[73:176, 174:277], (0.0, 0.0, 103.0, 103.0))
    assert len(tight.image) / tight.matrix[0, 0] == pytest.approx(103, rel=1e-6)


def test_face_that_fills_the_picture_is_found(astronaut):
    x, y, width, height = (int(v) for v in detect_faces(astronaut)[0].box)
    tight = np.ascontiguousarray(astronaut[y + 25 : y + height - 10, x + 15 : x + width - 15])
    (face,) = detect_faces(tight)
    assert face.box[2] > 0.8 * tight.shape[1]
    assert FaceDetector().search(tight, windows(*tight.shape[:2], (0.6, 0.35))) == []  # the picture alone is too tight


def test_warp_averages_where_it_shrinks():
    image = np.repeat((np.indices((512, 512)).sum(0) % 2 * 255).astype(np.uint8)[..., None], 3, axis=2)
    small = warp_square(image, np.array([[1 / 8, 0, -7 / 16], [0, 1 / 8, -7 / 16]]), 64)
    assert np.abs(small.astype(int) - 127).max() < 6


def test_windows_cover_the_whole_image():
    covered = np.zeros((300, 700), bool)
    for x, y, side in list(windows(300, 700, (0.5,)))[1:]:
        assert 0 <= x <= 700 - side
        assert 0 <= y <= 300 - side
        covered[y : y + side, x : x + side] = True
    assert covered.all()


def test_non_maximum_suppression_drops_parts_and_keeps_neighbours():
    keypoints = np.zeros((6, 2), np.float32)
    whole, part = Detection((0, 0, 100, 100), 0.9, keypoints), Detection((60, 60, 38, 38), 0.8, keypoints)
    beside = Detection((90, 0, 100, 100), 0.7, keypoints)
    assert non_maximum_suppression([part, beside, whole]) == [whole, beside]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: FaceDetector(min_score=0), "min_score"),
        (lambda: FaceDetector(tile_scales=(2.0,)), "tile_scales"),
        (lambda: FaceDetector()(np.zeros((5, 5), np.uint8)), "uint8 RGB"),
        (lambda: detect_faces("none.jpg"), r"none\.jpg: no such file"),
        (lambda: FaceDetector()(np.zeros((5, 5, 3))), "float64"),
        (lambda: crop_face(np.zeros((9, 9, 3), np.uint8), (0.0, 0.0, 0.0, 5.0)), "positive box"),
        (lambda: landmarks_68(np.zeros((9, 9, 3), np.uint8), (0.0, 0.0, 0.0, 5.0)), "positive width"),
    ],
)
def test_mistakes_are_named(call, text):
    with pytest.raises(ValueError, match=text):
        call()
