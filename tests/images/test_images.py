"""Photos as they come: every mode, orientation and kind of damage."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from gimefive_hf import explain_face, load_image
from gimefive_hf.folders.scoring import score_folder
from gimefive_hf.images import opening, photos
from gimefive_hf.images.files import source_name
from gimefive_hf.images.photos import SMALL_FILE, _load_small_jpeg
from tests.cases.hostile_images import huge_png
from tests.cases.video_cases import face_photo, tiny_recognizer

RED = (200, 30, 40)


def encoded(image: Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("mode", "format"),
    [("RGB", "PNG"), ("P", "PNG"), ("RGBA", "PNG"), ("CMYK", "TIFF"), ("RGB", "BMP"), ("RGB", "GIF")],
)
def test_modes_keep_their_colour(mode, format):
    picture = Image.new("RGB", (20, 10), RED)
    picture = picture.quantize(4) if mode == "P" else picture.convert(mode)
    # of an animation the first frame counts
    more = {"save_all": True, "append_images": [Image.new("RGB", (20, 10), "blue")]} if format == "GIF" else {}
    pixels = load_image(encoded(picture, format, **more))
    assert pixels.shape == (10, 20, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - RED).max() <= 3


def test_sixteen_bit_is_scaled_not_clipped():
    ramp = np.linspace(0, 65535, 400).astype(np.uint16).reshape(20, 20)
    pixels = load_image(encoded(Image.fromarray(ramp), "PNG"))
    assert np.abs(pixels[..., 0].astype(int) - (ramp / 257).round()).max() <= 1
    assert pixels.max() == 255


def test_transparency_is_laid_on_white():
    image = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    image.paste((*RED, 255), (0, 0, 8, 16))
    pixels = load_image(encoded(image, "PNG"))
    assert tuple(pixels[8, 2]) == RED
    assert tuple(pixels[8, 14]) == (255, 255, 255)


@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"subsampling": 0, "quality": 95}, {"optimize": True, "comment": "x" * 300}],
)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_small_jpeg_files_have_pils_pixels(tmp_path, options, mode, orientation):
    """They are decoded by OpenCV; CMYK is left to PIL."""
    noise = np.random.default_rng(0).integers(0, 256, (31, 45, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / "a.jpg"
    Image.fromarray(noise).convert(mode).save(path, "JPEG", exif=exif, **options)
    assert 1000 < path.stat().st_size < SMALL_FILE
    small = _load_small_jpeg(path)
    assert (small is None) == (mode == "CMYK")
    small = load_image(path) if small is None else small
    np.testing.assert_array_equal(small, np.array(ImageOps.exif_transpose(Image.open(path)).convert("RGB")))
    np.testing.assert_array_equal(load_image(path.read_bytes()), small)


def test_small_broken_jpeg_files(tmp_path, monkeypatch):
    """A header that announces more than we take is refused before anything is made for it, like all others by PIL."""
    whole = encoded(Image.new("RGB", (40, 30), RED), "JPEG")
    at = whole.index(b"\xff\xc0") + 5
    huge = whole[:at] + (60_000).to_bytes(2, "big") * 2 + whole[at + 4 :]
    for data, text in ((huge, "too large"), (whole[:-40], "broken"), (whole[:at], "image")):
        assert _load_small_jpeg(data) is None
        with pytest.raises(ValueError, match=text):
            load_image(data)
    monkeypatch.setattr("cv2.imdecode", lambda *_, **__: pytest.fail("decoded"))
    assert _load_small_jpeg(huge) is None


def test_arrays():
    grey = np.full((12, 14), 77, np.uint8)
    assert [source_name(source) for source in ("/a/b/photo.jpg", grey, b"")] == ["photo.jpg", "array", "image"]
    assert (load_image(grey) == 77).all()
    assert load_image(grey[..., None]).shape == (12, 14, 3)
    rgba = np.dstack([grey, grey, grey, np.zeros_like(grey)])
    assert (load_image(rgba) == 255).all()


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.zeros((9, 9, 3), np.float32), "float32"),
        (np.zeros((9, 9, 2), np.uint8), r"\(9, 9, 2\)"),
        (np.zeros((1, 1, 3), np.uint8), "too small"),
        (np.zeros((0, 9, 3), np.uint8), "too small"),
        (np.zeros(9, np.uint8), r"\(9,\)"),
    ],
)
def test_bad_arrays(array, text):
    with pytest.raises(ValueError, match=text):
        load_image(array)


def bad_files(folder):
    photo = encoded(Image.effect_noise((64, 64), 50).convert("RGB"), "JPEG")
    png = encoded(Image.effect_noise((64, 64), 50).convert("RGB"), "PNG")
    cases = {
        "empty.jpg": b"",
        "text.jpg": b"This is no picture.\n" * 20,
        "truncated.jpg": photo[: len(photo) // 2],
        "truncated.png": png[: len(png) // 2],
        "flipped.png": png[:60] + bytes(b ^ 0xFF for b in png[60:400]) + png[400:],
        "pixel.png": encoded(Image.new("RGB", (1, 1)), "PNG"),
        "huge.png": huge_png(11_000, 10_000),
    }
    for name, data in cases.items():
        (folder / name).write_bytes(data)
    return list(cases)


def test_bad_files_are_named_without_their_folder(tmp_path):
    for name in [*bad_files(tmp_path), "missing.jpg"]:
        with pytest.raises(ValueError) as info:
            load_image(tmp_path / name)
        assert name in str(info.value)
        assert str(tmp_path) not in str(info.value)
        assert "\n" not in str(info.value)
    for path, text in ((tmp_path, "is a folder"), (tmp_path / "huge.png", "too large")):
        with pytest.raises(ValueError, match=text):
            load_image(path)


@pytest.mark.parametrize("name", ["photo.png", "photo.jpg"])
def test_a_photo_is_decoded_once_on_its_whole_way(tmp_path, monkeypatch, name):
    """Faces, landmarks, crops, scores, the heat map and its sentence: all from one decoding, also by folder."""
    fer, decoded = tiny_recognizer(), []
    Image.fromarray(face_photo()).save(tmp_path / name)

    def counted(decode):
        def decode_and_count(*args, **kwargs):
            decoded.append(decode)
            return decode(*args, **kwargs)

        return decode_and_count

    monkeypatch.setattr(opening.Image, "open", counted(opening.Image.open))
    monkeypatch.setattr(photos.cv2, "imdecode", counted(photos.cv2.imdecode))
    for face in fer(str(tmp_path / name)):
        assert explain_face(fer, face).sentence
    assert len(decoded) == 1
    assert score_folder(fer, tmp_path, tmp_path / "scores.csv").images == 1
    assert len(decoded) == 2
