"""The webcam command, with a clip of a moving face as the camera."""

import re
import time

import numpy as np
import pytest

from gimefive_hf.cli import main
from gimefive_hf.commands.webcam import LatestFrame
from gimefive_hf.video.files import VideoReader
from tests.cases.video_cases import moving_face, save_tiny, write_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("camera") / "camera.mp4", moving_face(25))


def test_recording(tmp_path, clip, capsys):
    model = save_tiny(tmp_path / "model")
    output = tmp_path / "live.mp4"
    assert main(["webcam", "--camera", str(clip), "--record", str(output), "--model", str(model)]) == 0
    text = capsys.readouterr().err.splitlines()[-1]  # above it, a bar of the model's loading
    match = re.match(r"(\d+) frames shown of (\d+),", text)
    assert match, text
    shown, grabbed = int(match[1]), int(match[2])
    assert 1 <= shown <= grabbed == 25
    with VideoReader(output) as reader:
        frames = list(reader)
    assert len(frames) == shown
    assert np.all(np.diff([frame.time for frame in frames]) > 0)
    assert frames[-1].time < 30


def test_a_slow_reader_gets_the_newest_frame(clip):
    camera = LatestFrame(str(clip))
    frames = iter(camera)
    first = next(frames)
    time.sleep(0.5)  # twelve frames long
    second = next(frames)
    assert second.time - first.time >= 0.5
    assert (first.index, second.index) == (0, 1)
    assert camera.grabbed > 5
    camera.close()


def test_mistakes(tmp_path, clip, capsys, monkeypatch):
    model = str(save_tiny(tmp_path / "model"))
    monkeypatch.delenv("DISPLAY", raising=False)
    for call, message in [
        (["--camera", "nowhere.mp4", "--record", str(tmp_path / "o.mp4")], "cannot be opened"),
        (["--camera", str(clip), "--record", str(tmp_path / "o.avi")], "must end in .mp4"),
        (["--camera", str(clip)], "cannot open a window"),
    ]:
        assert main(["webcam", "--model", model, *call]) == 2
        assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
