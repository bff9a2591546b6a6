"""The example clip's face: landmarks move where an expression moves them, and the bundled clip changes as it says."""

import numpy as np
import pytest

from gimefive_hf import from_pretrained
from gimefive_hf.video.files import VideoReader
from spaces.example_clip import SMILE, SURPRISE, bend, moved, strengths, write_clip
from tests.conftest import DEMO
from tests.explain.test_regions import drawn_face


def test_a_smile_widens_and_lifts_the_corners_of_the_mouth():
    face = drawn_face()
    smile = moved(face, SMILE, 1.0)
    assert smile[54, 0] - smile[48, 0] > face[54, 0] - face[48, 0] + 10
    assert (smile[[48, 54], 1] < face[[48, 54], 1] - 4).all()
    assert np.array_equal(moved(face, SMILE, 0.0), face)


def test_surprise_raises_the_brows_and_opens_the_mouth():
    face = drawn_face()
    surprise = moved(face, SURPRISE, 1.0)
    assert (surprise[17:27, 1] < face[17:27, 1]).all()
    assert surprise[66, 1] - surprise[62, 1] > face[66, 1] - face[62, 1] + 5


def test_bending_takes_the_pixels_along_and_leaves_the_border():
    face = drawn_face()
    photo = np.full((200, 200, 3), 90, np.uint8)
    x, y = face[54].astype(int)
    photo[y - 3 : y + 4, x - 3 : x + 4] = 255
    target = moved(face, SMILE, 1.0)
    bent = bend(photo, face, target)
    to_x, to_y = target[54].round().astype(int)
    assert bent[to_y, to_x].min() > 200 and bent[y + 4, x - 4].max() < 200
    assert (bent[0] == 90).all() and (bent[:, 0] == 90).all()


def test_the_clip_rests_smiles_rests_and_is_surprised():
    assert strengths(0.5) == strengths(6.0) == (0, 0)
    assert strengths(3.0) == (1, 0)
    assert strengths(7.5) == (0, 1)


def test_the_bundled_clip_shows_what_it_is_said_to_show():
    fer = from_pretrained("gimefive-fast", backend="onnx")
    clip = DEMO / "examples" / "changing_face.mp4"
    wanted = {3.0: "happiness", 7.5: "surprise"}
    video = VideoReader(clip)
    for frame in video:
        if wanted and frame.time >= min(wanted):
            (face,) = fer(frame.image)
            assert face.emotion == wanted.pop(min(wanted))
    video.close()
    assert not wanted


def test_a_photo_without_a_face_is_refused(tmp_path):
    from PIL import Image

    Image.fromarray(np.full((80, 80, 3), 127, np.uint8)).save(tmp_path / "wall.png")
    with pytest.raises(ValueError, match=r"wall\.png: expected one face, found 0"):
        write_clip(tmp_path / "wall.png", tmp_path / "out.mp4")
