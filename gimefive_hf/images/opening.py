"""
Image files opened for reading: of known formats only, and no larger than reading them in a gigabyte of memory allows.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from PIL import Image

from .files import Refused, check_regular, explained, source_name
from .jpeg_headers import jpeg_size

# The formats that are opened, as PIL names them, and how their files are called. PIL knows more: some start other
# programs (EPS starts Ghostscript), some are decoded by code that few people read.
FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),  # PIL calls one of several pictures, as phones write it, MPO
    "PNG": (".png",),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "JPEG2000": (".jp2",),
    "ICO": (".ico",),
    "TGA": (".tga",),  # last: nothing marks its files
}
# A photo of more pixels is refused before it is decoded,
MAX_PIXELS = 100_000_000
# and one for which reading would hold more bytes: the decoder's own, PIL's picture and the result.
MAX_BYTES = 1_000_000_000
# What a decoder holds beside the picture, bytes per pixel as measured.
DECODER_BYTES = {"JPEG2000": 16, "WEBP": 8, "AVIF": 10}
# Pixels × scans of a JPEG file: twenty scans of the largest photo, about a minute.
MAX_SCANNED = 2_000_000_000
# Icons have 256 pixels a side at most, as they were defined.
MAX_ICON_SIDE = 1024
# On fewer pixels a side no face can be told.
MIN_SIDE = 8


@contextmanager
def open_image(source: str | Path | bytes | BinaryIO) -> Iterator[Image.Image]:
    """
    A file of one of `FORMATS` as PIL opens it: header read, size checked, pixels not yet decoded.

    Raises ValueError as `load_image` does for what the header tells; decoding raises PIL's own errors.
    """
    name = source_name(source)
    if isinstance(source, (str, Path)):
        with explained(name):
            check_regular(source)
            file = open(source, "rb")  # noqa: SIM115 (its errors are explained, those of the caller are not)
        with file, open_image(file) as image:
            yield image
        return
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    with explained(name), warnings.catch_warnings():  # our own limit is the stricter one that counts
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        _check_icon(name, stream)
        image = Image.open(stream, formats=list(FORMATS))
        check_budget(name, image)
        if image.format in ("JPEG", "MPO"):
            _check_scans(name, stream)
    try:
        yield image
    finally:
        image.close()  # frees the pixels, whoever still holds the image


def check_size(name: str, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise Refused(f"{name}: {width}×{height} is too large; at most {MAX_PIXELS // 1_000_000} million pixels")
    if min(width, height) < MIN_SIDE:
        raise Refused(f"{name}: {width}×{height} is too small; at least {MIN_SIDE} pixels a side")


def check_budget(name: str, image: Image.Image) -> None:
    """What reading would hold, known from the header."""
    check_size(name, *image.size)
    pixels = image.width * image.height
    if image.format == "TIFF":  # a tile is decoded whole, however little of it the picture takes
        tags = cast(Any, image).tag_v2
        tile = int(tags.get(322, 1)) * int(tags.get(323, 1))
        if tile > MAX_PIXELS:
            raise Refused(f"{name}: tiles of {tile // 1_000_000} million pixels are too large")
        pixels = max(pixels, tile)
    own = DECODER_BYTES.get(image.format or "", 0)
    if image.info.get("progressive"):  # coefficients of 16 bits, of the whole picture
        own += 2 * len(image.getbands())
    depth = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}.get(image.mode, 4)
    if pixels * (own + depth + 3) > MAX_BYTES:
        most = MAX_BYTES // (own + depth + 3) // 1_000_000
        raise Refused(
            f"{name}: {image.width}×{image.height} is too large for a {image.format} file of its kind; "
            f"at most {most} million pixels"
        )


def _check_scans(name: str, stream: BinaryIO) -> None:
    stream.seek(0)
    pixels, scans, _ = jpeg_size(stream.read())
    if pixels * scans > MAX_SCANNED:
        raise Refused(f"{name}: {scans} scans are too many for a picture of {pixels / 1e6:.1f} million pixels")


def _check_icon(name: str, stream: BinaryIO) -> None:
    """PIL decodes an icon's picture when it opens the file, whatever size that picture says it has."""
    start = stream.read(6)
    pictures = stream.read(16 * int.from_bytes(start[4:6], "little")) if start[:4] == b"\0\0\1\0" else b""
    for at in range(0, len(pictures) - 15, 16):
        stream.seek(int.from_bytes(pictures[at + 12 : at + 16], "little"))
        head = stream.read(24)
        png = head.startswith(b"\x89PNG")
        values = head[16:24] if png else head[4:12]
        width, height = (int.from_bytes(part, "big" if png else "little") for part in (values[:4], values[4:]))
        if width > MAX_ICON_SIDE or height > 2 * MAX_ICON_SIDE:  # a bitmap counts its mask as height
            raise Refused(f"{name}: {width}×{height} is too large for an icon; at most {MAX_ICON_SIDE} pixels a side")
    stream.seek(0)
