"""Photos between the browser and the page's functions, without a file that outlives the request."""

import base64
import binascii
import functools
import io
from collections.abc import Callable
from typing import Any, Self

import gradio as gr
import numpy as np
from gradio.data_classes import Base64ImageData, ImageData
from numpy.typing import NDArray
from PIL import Image
from server.uploads import Uploads

# The browser keeps the photo at this size at most and sends it along when another face or method is chosen.
HELD_SIDE = 1600


def told(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same, whose ValueErrors are told to the visitor: Gradio shows no error but its own."""

    @functools.wraps(function)
    def call(*values: Any, **named: Any) -> Any:
        try:
            return function(*values, **named)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None

    return call


class Uploaded:
    """Of a component that takes a file: the ledger, all that it reads from. To stand behind Gradio's own class."""

    is_template = True  # in the browser it is the first class that it derives from

    uploads: Uploads

    def kept_in(self, uploads: Uploads) -> Self:
        """Name the ledger; no parameter, because Gradio reads a component's settings off its signature."""
        self.uploads = uploads
        return self


class Photo(gr.Image, Uploaded):
    """
    An image input whose function gets (name, bytes) of the file, as it came, or None; given as output a data URL.

    The upload is deleted before the function runs, so that no face stays on the server's disk; the browser keeps the
    photo as a data URL. Nothing is decoded here: what is wrong with the file is for `load_image` to say, which names
    no folder.
    """

    @told
    def preprocess(self, payload: ImageData | None) -> tuple[str, bytes] | None:
        if payload is None:
            return None
        if payload.url and payload.url.startswith("data:"):
            return "snapshot", decode_data_url(payload.url)
        return payload.orig_name or "photo", self.uploads.take(payload.path)

    def postprocess(self, value: str | None) -> Base64ImageData | None:
        return None if value is None else Base64ImageData(url=value)


def decode_data_url(url: str) -> bytes:
    """The bytes in a base64 data URL. Raises ValueError if it is none."""
    try:
        return base64.b64decode(url.split(",", 1)[1], validate=True)
    except (IndexError, binascii.Error):
        raise ValueError("expected a base64 data URL") from None


def to_data_url(image: NDArray[np.uint8], quality: int = 92) -> str:
    """RGB uint8 (height, width, 3) → JPEG data URL."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def shrink(image: NDArray[np.uint8], side: int = HELD_SIDE) -> NDArray[np.uint8]:
    """The image with its longer side at most `side` pixels."""
    picture = Image.fromarray(image)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.array(picture)


def image_html(image: NDArray[np.uint8], description: str, element_id: str, quality: int = 92) -> str:
    """An <img> that carries its pixels, so that the server need not keep a file for it."""
    source = to_data_url(image, quality)
    return f'<img id="{element_id}" alt="{description}" src="{source}" style="width:100%;border-radius:8px">'
