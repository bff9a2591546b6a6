"""Images made to hurt: memory, time, other programs, files that are none."""

import ast
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import EpsImagePlugin, Image, ImageOps

from gimefive_hf import FaceDetector, load_image
from gimefive_hf.faces.cropping import warp_square
from gimefive_hf.folders.scoring import score_folder
from gimefive_hf.images import opening
from tests.cases.hostile_images import BOMBS, REFUSED, of_other_formats, saved
from tests.cases.video_cases import face_photo, image_folder, tiny_recognizer
from training.corpora.schema import decode

ROOT = Path(__file__).parents[2]

# Highest memory of each file's reading, above what it was before; in a process of its own, which nothing else fills.
MEASURE = """
import ctypes, json, re, sys, warnings
from gimefive_hf import load_image
warnings.simplefilter("ignore")
def status(field):
    return int(re.search(field + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
load_image(sys.argv[1])
rises = {}
for path in sys.argv[1:]:
    ctypes.CDLL(None).malloc_trim(0)
    open("/proc/self/clear_refs", "w").write("5")
    before = status("VmRSS")
    pixels = load_image(path)
    rises[path] = (status("VmHWM") - before) / (pixels.size / 3)
    del pixels
print(json.dumps(rises))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
def test_no_pixel_costs_more_memory_than_the_budget_counts(tmp_path):
    """PIL's picture and the result, 4 and 3 bytes, and what the format's decoder is known to hold."""
    for name, make in BOMBS.items():
        (tmp_path / name).write_bytes(make())
    paths = [str(tmp_path / name) for name in BOMBS]
    command = [sys.executable, "-c", MEASURE, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=120)
    for path, rise in json.loads(done.stdout).items():
        with opening.open_image(path) as image:
            own = 6 if image.info.get("progressive") else opening.DECODER_BYTES.get(image.format, 0)
        print(f"{Path(path).name}: {rise:.1f} bytes a pixel")
        assert rise < 4 + 3 + own + 12, Path(path).name  # 12: what is converted at once, of few pixels here


@pytest.mark.parametrize("name", REFUSED)
def test_costly_files_are_refused_at_once(name):
    make, text = REFUSED[name]
    data = make()
    start = time.process_time()
    with pytest.raises(ValueError, match=text):
        load_image(data)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(("format", "side"), [("JPEG2000", 450), ("WEBP", 450), ("JPEG", 450), ("TIFF", 600)])
def test_budget_counts_decoded_bytes(monkeypatch, format, side):
    """Each kind of file has its own largest size, known before anything is decoded."""
    monkeypatch.setattr(opening, "MAX_BYTES", 2_000_000)
    options = {"progressive": True, "comment": b"x" * 65_000} if format == "JPEG" else {}
    data = saved("F" if format == "TIFF" else "RGB", format, side, **options)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(ValueError, match=r"too large for an? \w+ file"):
        load_image(data)


@pytest.mark.parametrize("orientation", range(10))
def test_every_exif_orientation(orientation):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (31, 45, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[274] = orientation
    noise.info["exif"] = exif.tobytes()
    np.testing.assert_array_equal(load_image(noise), np.array(ImageOps.exif_transpose(noise)))


def test_bands_are_converted_as_the_whole(monkeypatch):
    values = np.random.default_rng(0).integers(0, 65536, (37, 23), dtype=np.uint16)
    rgba = Image.fromarray(np.random.default_rng(1).integers(0, 256, (37, 23, 4), dtype=np.uint8))
    grey = Image.fromarray(values)
    for image in (grey, grey.convert("I"), rgba, rgba.convert("P"), rgba.convert("F")):
        whole = load_image(image)
        monkeypatch.setattr("gimefive_hf.images.photos.BAND_PIXELS", 100)
        np.testing.assert_array_equal(load_image(image), whole)
        monkeypatch.undo()


@pytest.mark.parametrize("format", of_other_formats())
def test_other_formats_are_not_opened(format, tmp_path, monkeypatch):
    """Under a photo's name; and no Ghostscript runs, although one is there."""
    told = tmp_path / "ran"
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch {told}\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    data = of_other_formats()[format]
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    for source in (path, data, path.open("rb")):
        with pytest.raises(ValueError, match="not an image, or of an unknown format"):
            load_image(source)
    with pytest.raises(Image.UnidentifiedImageError):
        decode(data)
    assert not told.exists()


def test_all_code_opens_by_an_allow_list():
    opened = []
    for folder in ("gimefive_hf", "evaluation", "training", "spaces", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            if "checkpoints" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "Image.open":
                    assert any(keyword.arg == "formats" for keyword in node.keywords), f"{path}:{node.lineno}"
                    opened.append(path.name)
    assert "opening.py" in opened


@pytest.fixture
def odd_files(tmp_path):
    """A folder with a named pipe, a socket, a device and a link loop called like photos."""
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "device.jpg").symlink_to("/dev/zero")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.jpg"))
        yield tmp_path


ODD = {"pipe": "is a named pipe", "device": "is a device", "loop": "symbolic links", "socket": "is a socket"}


@pytest.mark.parametrize("kind", ODD)
def test_only_regular_files_are_opened(odd_files, kind):
    code = "import sys; from gimefive_hf import load_image; load_image(sys.argv[1])"
    command = [sys.executable, "-c", code, str(odd_files / f"{kind}.jpg")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert re.search(rf"(Refused|ValueError): {kind}\.jpg: .*{ODD[kind]}", done.stderr)


def test_irregular_files_are_rows_with_their_reason(odd_files, tmp_path_factory):
    output = tmp_path_factory.mktemp("out") / "scores.csv"
    Image.fromarray(face_photo()).save(odd_files / "whole.jpg")
    summary = score_folder(tiny_recognizer(), odd_files, output)
    assert (summary.images, summary.failed, summary.faces) == (5, 4, 1)
    rows = output.read_text()
    assert all(reason in rows for reason in ODD.values())


def test_pils_own_errors_name_the_file(tmp_path, monkeypatch):
    path = tmp_path / "broken.png"
    path.write_bytes(saved("RGB", "PNG", 64))

    def fail(self):
        raise ValueError("bad\nvalue")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail)
    with pytest.raises(ValueError, match=r"^broken\.png: broken image \(bad value\)$"):
        load_image(path)
    with pytest.raises(ValueError, match=r"^a\x00\.png: "):
        load_image("a\0.png")
    with pytest.raises(ValueError, match="cannot be read"):
        load_image("a" * 300 + ".png")


def long_photo(length: int) -> np.ndarray:
    """The portrait, twice as large, near the end of a strip."""
    strip = np.full((1024, length, 3), 90, np.uint8)
    strip[:, -1200:-176] = cv2.resize(face_photo(), (1024, 1024))
    return strip


def test_long_images_are_searched_like_others(tmp_path):
    """Longer than cv2.warpAffine takes; the face is found where it is found in a short strip."""
    fer = tiny_recognizer()
    fer.detector = FaceDetector(tile_scales=(0.6,))  # the finer tiles take a minute on a busy machine
    (short,), (long,) = (fer(long_photo(length)) for length in (2000, 33_000))
    np.testing.assert_allclose(np.add(long.box, (2000 - 33_000, 0, 0, 0)), short.box, atol=16)
    Image.fromarray(long_photo(33_000)).save(tmp_path / "webtoon.jpg", quality=50)
    image_folder(tmp_path, 3)
    summary = score_folder(fer, tmp_path, tmp_path / "s.csv", workers=1)
    assert summary.images == 4 and summary.failed == 0 and summary.faces >= 1
    assert FaceDetector()(np.zeros((64, 33_000, 3), np.uint8)) == []


@pytest.mark.parametrize("shape", [(8, 500_000), (500_000, 8), (1, 70_000)])
def test_thin_images_can_be_warped(shape):
    image = np.full((*shape, 3), 200, np.uint8)
    for scale in (128 / max(shape), 0.1, 1.0, 3.0):
        matrix = np.array([[scale, 0, 0], [0, scale, 0.0]])
        square = warp_square(image, matrix, 128)
        assert square.shape == (128, 128, 3) and square[0, 0].min() > 0


def test_long_images_keep_their_pixels():
    noise = np.random.default_rng(0).integers(0, 256, (200, 40_000, 3), dtype=np.uint8)
    for scale in (0.3, 0.9, 1.7):
        near = np.array([[scale, 0, -scale * 39_000], [0, scale, 0]])
        part = np.array([[scale, 0, -scale * 1000], [0, scale, 0]])
        np.testing.assert_array_equal(warp_square(noise, near, 96), warp_square(noise[:, 38_000:], part, 96))
