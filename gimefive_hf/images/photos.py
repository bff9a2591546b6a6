"""Photos as they come: any file, PIL image or array → uint8 RGB, upright, or one clear error."""

from pathlib import Path
from typing import BinaryIO, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .files import check_regular, explained, source_name
from .jpeg_headers import jpeg_size
from .opening import MAX_SCANNED, MIN_SIDE, check_budget, check_size, open_image

ImageSource = str | Path | bytes | BinaryIO | Image.Image | NDArray[np.uint8]

# Up to so many bytes, a JPEG file takes PIL longer to open than to decode.
SMALL_FILE = 65_536
# and no more than so many pixels: PIL's path is the one that counts what its decoder holds.
SMALL_PIXELS = 4_000_000
ORIENTATION = 274  # EXIF's number for it
# Pixels that are converted at once, so that copies in other modes stay small.
BAND_PIXELS = 250_000


def load_image(source: ImageSource) -> NDArray[np.uint8]:
    """
    Read one image as uint8 RGB (height, width, 3), turned upright as its EXIF orientation says.

    Args:
        source: a path, the bytes of a file, an open binary file, a PIL image, or a uint8 array, (height, width) grey,
            (height, width, 3) RGB or (height, width, 4) RGBA.

    Transparent pixels are laid on white, 16-bit images scaled to 8 bits, of an animation the first frame is taken.

    Raises:
        ValueError: if it is no regular file or no image of `FORMATS`, is broken, or has fewer than 8 pixels a side,
            more than 100 million in all, or more than reading in a gigabyte of memory allows; the text names the file,
            not its folder, and the reason.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    name = source_name(source)
    if isinstance(source, Image.Image):
        with explained(name):
            check_budget(name, source)
            return _turned(_rgb(source), source.getexif().get(ORIENTATION, 1))
    small = _load_small_jpeg(source)
    if small is not None:
        return small
    with open_image(source) as image, explained(name):
        image.load()
        pixels, turn = _rgb(image), image.getexif().get(ORIENTATION, 1)
    return _turned(pixels, turn)  # PIL's picture is freed by now


def _load_small_jpeg(source: str | Path | bytes | BinaryIO) -> NDArray[np.uint8] | None:
    """
    A crop's JPEG file, decoded in a third of PIL's time to the same pixels; None for all else, of which PIL can tell
    more: a file that was cut short, which OpenCV fills with grey, and CMYK, which it converts in another way.
    """
    if isinstance(source, bytes):
        data = source
    elif isinstance(source, (str, Path)):
        with explained(source_name(source)):
            check_regular(source)
            with open(source, "rb") as file:
                data = file.read(SMALL_FILE + 1)
    else:
        return None
    if len(data) > SMALL_FILE:
        return None
    pixels, scans, channels = jpeg_size(data)
    if not (MIN_SIDE**2 <= pixels <= SMALL_PIXELS and pixels * scans <= MAX_SCANNED and channels in (1, 3)):
        return None
    if not data.endswith(b"\xff\xd9"):
        return None
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)  # None for what it cannot read
    if values is not None:
        check_size(source_name(source), values.shape[1], values.shape[0])
    return cast(NDArray[np.uint8] | None, values)


def _from_array(array: NDArray) -> NDArray[np.uint8]:
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ValueError(
            "array: expected uint8 of shape (height, width), (height, width, 3) RGB or (height, width, 4) RGBA; "
            f"got {array.dtype} {array.shape}"
        )
    check_size("array", array.shape[1], array.shape[0])
    if array.ndim == 3 and array.shape[2] == 3:
        return np.ascontiguousarray(array)
    return _rgb(Image.fromarray(array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array))


def _turned(pixels: NDArray, turn: int) -> NDArray[np.uint8]:
    """Pixels turned upright as the EXIF orientation, 1 to 8, says that they must be."""
    if turn in (5, 6, 7, 8):
        pixels = cv2.transpose(pixels)
    if turn in (2, 3, 6, 7):
        pixels = cv2.flip(pixels, 1)
    if turn in (3, 4, 7, 8):
        pixels = cv2.flip(pixels, 0)
    return pixels


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Pixels (height, width, 3) of an image of any mode."""
    # 16-bit grey: scale by the range of the type, so that pictures of one camera stay comparable.
    wide = image.mode.startswith("I") and cast(tuple[float, float], image.getextrema())[1] > 255
    top = 65535.0 if wide else 255.0
    result = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, BAND_PIXELS // image.width)
    for start in range(0, image.height, rows):
        end = min(start + rows, image.height)
        band = image if end - start == image.height else image.crop((0, start, image.width, end))
        result[start:end] = _band(band, top)
    return result


def _band(image: Image.Image, top: float) -> NDArray[np.uint8]:
    """Some rows as RGB, or as grey (rows, width, 1) where values are scaled by `top`."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.nan_to_num(np.asarray(image, dtype=np.float64))
        return np.clip(values * 255 / top, 0, 255).round().astype(np.uint8)[..., None]
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return np.asarray(Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB"))
    return np.asarray(image.convert("RGB"))
