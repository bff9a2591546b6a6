"""Photos as they come: any file, PIL image or array → uint8 RGB, upright, or one clear error."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

ImageSource = str | Path | bytes | BinaryIO | Image.Image | NDArray[np.uint8]

# A photo of more pixels is refused before it is decoded.
MAX_PIXELS = 100_000_000
# Up to so many bytes, a JPEG file takes PIL longer to open than to decode.
SMALL_FILE = 65_536
# On fewer pixels a side no face can be told.
MIN_SIDE = 8


def load_image(source: ImageSource) -> NDArray[np.uint8]:
    """
    Read one image as uint8 RGB (height, width, 3), turned upright as its EXIF orientation says.

    Args:
        source: a path, the bytes of a file, an open binary file, a PIL image, or a uint8 array, (height, width) grey,
            (height, width, 3) RGB or (height, width, 4) RGBA.

    Transparent pixels are laid on white, 16-bit images scaled to 8 bits, of an animation the first frame is taken.

    Raises:
        ValueError: if it is no image, is broken, or has fewer than 8 pixels a side or more than 100 million in all;
            the text names the file, not its folder, and the reason.
    """
    name = source_name(source)
    if isinstance(source, np.ndarray):
        return _from_array(source)
    with _explained(name):
        small = _load_small_jpeg(source)
        if small is not None:
            _check_size(name, small.shape[1], small.shape[0])
            return small
        if isinstance(source, Image.Image):
            image = source
        else:
            with warnings.catch_warnings():  # our own limit is the stricter one that counts
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
        _check_size(name, *image.size)
        if not isinstance(source, Image.Image):
            image.load()
        return np.array(_to_rgb(ImageOps.exif_transpose(image)))  # a copy: PIL's own pixels are read-only


def _load_small_jpeg(source: ImageSource) -> NDArray[np.uint8] | None:
    """
    A crop's JPEG file, decoded in a third of PIL's time to the same pixels; None for all else, of which PIL can tell
    more: a file that was cut short, which OpenCV fills with grey, and CMYK, which it converts in another way.
    """
    if isinstance(source, bytes):
        data = source
    elif isinstance(source, (str, Path)):
        with open(source, "rb") as file:
            data = file.read(SMALL_FILE + 1)
    else:
        return None
    if len(data) > SMALL_FILE or not MIN_SIDE**2 <= _jpeg_pixels(data) <= MAX_PIXELS:
        return None
    if not data.endswith(b"\xff\xd9"):
        return None
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)  # None for what it cannot read
    return None if pixels is None else cast(NDArray[np.uint8], pixels)


def _jpeg_pixels(data: bytes) -> int:
    """
    How many pixels the frame header (ITU T.81, B.2.2) of a JPEG file announces; 0 if there is none, as expected, or if
    it has other than one channel or three.
    """
    at = 2 if data.startswith(b"\xff\xd8\xff") else len(data)
    while at + 9 <= len(data) and data[at] == 0xFF:
        if 0xC0 <= data[at + 1] <= 0xCF and data[at + 1] not in (0xC4, 0xC8, 0xCC):  # tables and reserved ones
            if data[at + 9 : at + 10] not in (b"\x01", b"\x03"):
                return 0
            return int.from_bytes(data[at + 5 : at + 7], "big") * int.from_bytes(data[at + 7 : at + 9], "big")
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return 0


def source_name(source: ImageSource) -> str:
    """What to call `source` in a message: the file's name without its folder, or the kind of object."""
    path = (
        source
        if isinstance(source, (str, Path))
        else getattr(source, "filename", None) or getattr(source, "name", None)
    )
    if isinstance(path, (str, Path)) and str(path):
        return Path(path).name or str(path)
    return "array" if isinstance(source, np.ndarray) else "image"


def _check_size(name: str, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ValueError(f"{name}: {width}×{height} is too large; at most {MAX_PIXELS // 1_000_000} million pixels")
    if min(width, height) < MIN_SIDE:
        raise ValueError(f"{name}: {width}×{height} is too small; at least {MIN_SIDE} pixels a side")


def _from_array(array: NDArray) -> NDArray[np.uint8]:
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ValueError(
            "array: expected uint8 of shape (height, width), (height, width, 3) RGB or (height, width, 4) RGBA; "
            f"got {array.dtype} {array.shape}"
        )
    _check_size("array", array.shape[1], array.shape[0])
    if array.ndim == 3 and array.shape[2] == 3:
        return np.ascontiguousarray(array)
    return np.array(_to_rgb(Image.fromarray(array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array)))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        # 16-bit grey: scale by the range of the type, so that pictures of one camera stay comparable.
        values = np.asarray(image, dtype=np.float64)
        top = 65535.0 if image.mode.startswith("I") and values.max(initial=0) > 255 else 255.0
        return Image.fromarray(np.clip(values * 255 / top, 0, 255).round().astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn whatever reading an image may raise into a ValueError that names the file and hides its folder."""
    try:
        yield
    except FileNotFoundError:
        raise ValueError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise ValueError(f"{name}: is a folder, not an image") from None
    except PermissionError:
        raise ValueError(f"{name}: may not be read (permission denied)") from None
    except UnidentifiedImageError:
        raise ValueError(f"{name}: not an image, or of an unknown format") from None
    except Image.DecompressionBombError:
        raise ValueError(f"{name}: too large; at most {MAX_PIXELS // 1_000_000} million pixels") from None
    except ValueError:
        raise
    except Exception as error:  # PIL's decoders raise OSError, SyntaxError, struct.error and others on broken files
        reason = str(error) if "/" not in str(error) else type(error).__name__
        raise ValueError(f"{name}: broken image ({reason})") from None
