"""Videos made to hurt: frames that grow, unknown codecs, play lists, files that are none."""

import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from gimefive_hf.video import opening
from gimefive_hf.video.analysis import annotate_video
from gimefive_hf.video.files import FULL_HD, VideoReader
from tests.cases.hostile_videos import growing_h264, growing_mjpeg
from tests.cases.video_cases import moving_face, tiny_recognizer, write_clip

ROOT = Path(__file__).parents[2]

READ = """
import re, sys
from gimefive_hf.video.files import VideoReader
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024
before = peak()
with VideoReader(sys.argv[1]) as reader:
    shapes = [None if frame.image is None else frame.image.shape for frame in reader]
assert sum(shape is None for shape in shapes) >= 1, shapes
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_frames_that_outgrow_4k_are_broken_before_they_are_decoded(tmp_path):
    """A raw H.264 stream of 64×48 that goes on with 5120×5120."""
    path = growing_h264(tmp_path / "grow.h264", 5120, frames=3)
    command = [sys.executable, "-c", READ, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 60, "MB; one of these frames takes 39 decoded and 79 in RGB"


@pytest.mark.parametrize("make", [growing_h264, growing_mjpeg])
def test_streams_may_grow_up_to_4k_and_are_held_to_full_hd(tmp_path, make):
    path = make(tmp_path / ("a.h264" if make is growing_h264 else "a.mjpeg"), 1600, frames=3)
    with VideoReader(path) as reader:
        sizes = [frame.image.shape[:2] for frame in reader if frame.image is not None]
    assert sizes[0] == ((48, 64) if make is growing_h264 else (64, 64))
    assert 0.98 * FULL_HD < np.prod(sizes[-1]) <= FULL_HD


def test_frames_too_large_from_the_start_and_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = write_clip(tmp_path / "a.mp4", moving_face(2, 64, 48))
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: False)  # as root, no real file refuses
        with pytest.raises(ValueError, match=r"^a\.mp4: may not be read"):
            VideoReader(path)
    monkeypatch.setattr(opening, "MAX_FRAME_BYTES", 64 * 48 * 1.4)
    with pytest.raises(ValueError, match=r"a\.mp4: frames of 64×48 are too large"):
        VideoReader(path)


def test_unknown_codec_is_one_line(tmp_path):
    path = write_clip(tmp_path / "a.mkv", moving_face(3, 64, 48))
    data = path.read_bytes()
    assert data.count(b"V_MPEG4/ISO/AVC") == 1
    path.write_bytes(data.replace(b"V_MPEG4/ISO/AVC", b"V_MPEG4/ISO/XYZ"))
    with pytest.raises(ValueError, match=r"^a\.mkv: its video is of an unknown codec$"):
        VideoReader(path)


def test_videos_wider_than_h264_takes(tmp_path):
    """They have a timeline; the annotated video is refused in one line, and nothing is left behind."""
    path = tmp_path / "wide.avi"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16_640, 48, "yuvj420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((48, 16_640, 3), np.uint8), "rgb24")
        output.mux(stream.encode(frame))
        output.mux(stream.encode())
    fer, out = tiny_recognizer(), tmp_path / "out"
    out.mkdir()
    with pytest.raises(ValueError, match=r"o\.mp4: frames of 16640×48 cannot be written; H\.264 takes 16,384"):
        annotate_video(fer, path, out / "o.mp4", out / "t.csv")
    assert list(out.iterdir()) == []
    assert annotate_video(fer, path, None, out / "t.csv").frames == 1


def test_play_lists_do_not_open_what_they_name(tmp_path):
    """Refused by their format before they are followed: the file that they name is a pipe, which would hang."""
    os.mkfifo(tmp_path / "other.ts")
    code = "import sys; from gimefive_hf.video.files import VideoReader; VideoReader(sys.argv[1])"
    lists = {
        "a.mp4": f"#EXTM3U\n#EXTINF:1\n{tmp_path}/other.ts\n#EXT-X-ENDLIST\n",
        "b.mp4": f"ffconcat version 1.0\nfile {tmp_path}/other.ts\n",
    }
    for name, text in lists.items():
        (tmp_path / name).write_text(text)
        command = [sys.executable, "-c", code, str(tmp_path / name)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
        assert f"ValueError: {name}: not a video" in done.stderr


@pytest.mark.parametrize("name", ["pipe.mp4", "device.mp4", "loop.mp4"])
def test_only_regular_files_are_opened(tmp_path, name):
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "device.mp4").symlink_to("/dev/zero")
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    with pytest.raises(ValueError, match=rf"^{name}: (is a named pipe|is a device|cannot be read)"):
        VideoReader(tmp_path / name)
