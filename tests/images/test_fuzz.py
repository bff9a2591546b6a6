"""
Any bytes as an image or a video: an answer or a ValueError, in bounded time and memory.

    GIMEFIVE_FUZZ=100000 python -m pytest tests/images/test_fuzz.py  # by hand, as long as you like; default: short

The examples are the same each time unless GIMEFIVE_FUZZ_SEED=random.
"""

import io
import os
import re
import time
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

from gimefive_hf import load_image
from gimefive_hf.images.opening import FORMATS, MAX_BYTES
from gimefive_hf.video.analysis import annotate_video
from gimefive_hf.video.files import VideoReader
from tests.cases.video_cases import moving_face, tiny_recognizer, write_clip

EXAMPLES = int(os.environ.get("GIMEFIVE_FUZZ", "400"))
SECONDS = 20  # of processor time for one file, on a busy machine
options = {
    "deadline": None,
    "derandomize": os.environ.get("GIMEFIVE_FUZZ_SEED") != "random",
    "database": None,
    "phases": (Phase.explicit, Phase.generate),  # to shrink a file that takes long takes long
    "suppress_health_check": list(HealthCheck),
}


@lru_cache(maxsize=1)
def image_files() -> tuple[bytes, ...]:
    """A small whole file of every format that is opened, in several modes."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8))
    files = []
    options = {"JPEG": [{}, {"progressive": True}], "AVIF": [{"max_threads": 1}]}
    options["TIFF"] = [{}, {"compression": "jpeg"}, {"compression": "tiff_lzw"}]
    for format in FORMATS:
        for mode in ("RGB", "RGBA") if format == "AVIF" else ("RGB", "L", "RGBA", "P", "1", "CMYK", "F", "I;16"):
            for more in options.get(format, [{}]):
                if more.get("compression") == "jpeg" and mode not in ("RGB", "L"):
                    continue  # libtiff refuses to write some of these, and Pillow 12.3 then corrupts the heap
                buffer = io.BytesIO()
                try:
                    picture = noise.convert("F") if mode == "I;16" else noise.convert(mode)
                    picture.convert(mode).save(buffer, format, **more)
                except (OSError, ValueError, KeyError, RuntimeError):  # a format that has no such mode or option
                    continue
                files.append(buffer.getvalue())
    return tuple(dict.fromkeys(files))


@lru_cache(maxsize=1)
def video_files() -> tuple[tuple[str, bytes], ...]:
    """A short clip in several containers and codecs, with sound where it can be."""
    import tempfile

    frames = moving_face(6, 64, 48)
    kinds = [("mp4", "libx264", "aac"), ("mkv", "libx264", None), ("avi", "mjpeg", None), ("gif", "gif", None)]
    kinds += [("webm", "libvpx", None), ("ts", "libx264", None), ("h264", "libx264", None), ("mov", "mpeg4", "aac")]
    with tempfile.TemporaryDirectory() as place:
        return tuple(
            (suffix, write_clip(Path(place) / f"{number}.{suffix}", frames, codec=codec, audio=audio).read_bytes())
            for number, (suffix, codec, audio) in enumerate(kinds)
        )


def damaged(data: bytes, cuts: list[tuple[str, float, bytes]]) -> bytes:
    """`data` after each (what to do, where as a share of the length, with which bytes)."""
    result = bytearray(data)
    for what, share, extra in cuts:
        at = int(share * len(result))
        if what == "write":
            result[at : at + len(extra)] = extra
        elif what == "insert":
            result[at:at] = extra
        elif what == "cut":
            del result[at:]
        elif what == "remove":
            del result[at : at + len(extra)]
        else:  # a part again
            result[at:at] = result[at : at + 40 * len(extra)]
    return bytes(result)


# Half of the places are in the first twentieth, where the headers are.
places = st.one_of(st.floats(0, 0.05), st.floats(0, 1))
pieces = st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"]))
steps = st.tuples(st.sampled_from(["write", "write", "write", "insert", "cut", "remove", "again"]), places, pieces)
damages = st.lists(steps, min_size=1, max_size=6)


def highest_memory() -> int:
    """Bytes that this process has held at most; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    return int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1]) * 1024 if status.exists() else 0


@pytest.fixture(autouse=True)
def bounded_memory():
    before = highest_memory()
    yield
    assert highest_memory() - before < MAX_BYTES * 1.2


@settings(max_examples=EXAMPLES, **options)
@given(
    st.one_of(st.binary(max_size=400), st.builds(damaged, st.deferred(lambda: st.sampled_from(image_files())), damages))
)
def test_bytes_to_image(data):
    start = time.process_time()
    try:
        pixels = load_image(data)
    except ValueError as error:
        assert str(error).startswith("image: ") and "\n" not in str(error)  # noqa: PT017
    else:
        assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
        assert pixels.flags.c_contiguous and pixels.flags.writeable
    assert time.process_time() - start < SECONDS


@settings(max_examples=max(1, EXAMPLES // 8), **options)
@given(source=st.deferred(lambda: st.sampled_from(video_files())), damage=damages)
def test_bytes_to_video(tmp_path_factory, source, damage):
    """Read, and annotated with sound."""
    suffix, data = source
    folder = tmp_path_factory.mktemp("fuzz")
    path = folder / f"clip.{suffix}"
    path.write_bytes(damaged(data, damage))
    start = time.process_time()
    try:
        with VideoReader(path) as reader:
            for frame in islice(reader, 50):
                assert (frame.image is None) == (frame.error is not None)
        annotate_video(recognizer(), path, folder / "o.mp4", folder / "t.csv", max_seconds=1)
    except ValueError as error:
        assert str(error).startswith(("clip.", "o.mp4")) and "\n" not in str(error)  # noqa: PT017
        assert not (folder / "o.mp4").exists()
    assert sorted(folder.glob(".*")) == []
    assert time.process_time() - start < SECONDS


@lru_cache(maxsize=1)
def recognizer():
    return tiny_recognizer()
