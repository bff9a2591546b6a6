"""What is drawn on the frames of a video: heat map, landmarks, box, name and six bars per person; fast, in place."""

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..drawing.colors import EMOTION_COLORS, OTHER_COLOR
from ..drawing.marks import LANDMARK_COLOR, line_width, overlay_heat
from ..faces.detections import Box, overlap
from .people import Person

Color = tuple[int, int, int]

PLATE: Color = (20, 20, 20)
WHITE: Color = (255, 255, 255)


def draw_people(
    image: NDArray[np.uint8], people: Sequence[Person], heat: bool = True, landmarks: bool = True, bars: bool = True
) -> NDArray[np.uint8]:
    """
    A copy of the frame, uint8 RGB (height, width, 3), with everybody's results.

    A panel with the bars stands beside its face, or in a corner over the face's own rim, where it covers no other
    face; else only the name is shown.
    """
    canvas = image.copy()
    for person in people:
        if heat and person.heat is not None:
            canvas = overlay_heat(canvas, person.heat, person.face.crop)
    for person in people:
        if landmarks and person.face.landmarks is not None:
            draw_points(canvas, person.face.landmarks)
    size = text_size(image)
    taken: list[Box] = [person.face.box for person in people]
    for person in people:
        color = EMOTION_COLORS.get(person.label, OTHER_COLOR)
        draw_box(canvas, person.face.box, color)
        sure = f" {person.confidence:.0%}" if person.label == person.emotion else ""
        draw_name(canvas, f"{person.number} {person.label}{sure}", person.face.box, color, size)
        if bars:
            place = panel_place(person.face.box, taken, panel_size(tuple(person.smoothed), size), canvas.shape)
            if place is not None:
                draw_bars(canvas, person.smoothed, place, size)
                width, height = panel_size(tuple(person.smoothed), size)
                taken.append((*place, float(width), float(height)))
    return canvas


def text_size(image: NDArray[np.uint8]) -> int:
    """Height of letters in pixels: a thirtieth of the shorter side, and never too small to read."""
    return max(11, round(min(image.shape[:2]) / 30))


def draw_points(canvas: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> None:
    """Dots at (68, 2), whose size follows the size of the face, in place."""
    radius = max(1, round(float(np.ptp(landmarks[:, 0])) / 90))
    for x, y in landmarks.round().astype(int).tolist():
        cv2.circle(canvas, (x, y), radius, LANDMARK_COLOR, -1, cv2.LINE_AA)


def draw_box(canvas: NDArray[np.uint8], box: Box, color: Color) -> None:
    """A rectangle with a dark rim, to be seen on any ground."""
    x, y, w, h = (round(value) for value in box)
    width = line_width(canvas)
    cv2.rectangle(canvas, (x, y), (x + w, y + h), PLATE, 2 * width + 1)
    cv2.rectangle(canvas, (x, y), (x + w, y + h), color, width)


@lru_cache(maxsize=2048)
def text_mask(text: str, size: int) -> NDArray[np.uint16]:
    """Opacity, 0–256, (height, width), of a line of text; cached, because the same few strings come again and again."""
    font = ImageFont.load_default(size=size)
    # all lines of one size are equally high, whatever letters they have
    width, height = max(1, round(font.getlength(text))), round(1.25 * size)
    picture = Image.new("L", (width, height))
    ImageDraw.Draw(picture).text((0, 0.55 * height), text, fill=255, font=font, anchor="lm")
    opacity = np.asarray(picture).astype(np.uint16)
    return opacity + (opacity > 127)


def put_text(canvas: NDArray[np.uint8], mask: NDArray[np.uint16], x: int, y: int, color: Color) -> None:
    """Blend a text mask in with its top left corner at (x, y); what lies outside is cut off."""
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + mask.shape[1], canvas.shape[1]), min(y + mask.shape[0], canvas.shape[0])
    if left >= right or top >= bottom:
        return
    opacity = mask[top - y : bottom - y, left - x : right - x, None]
    part = canvas[top:bottom, left:right]
    part[:] = (part * (256 - opacity) + np.array(color, np.uint16) * opacity) >> 8


def draw_name(canvas: NDArray[np.uint8], text: str, box: Box, color: Color, size: int) -> None:
    """The text on a plate above the box, or inside it at the upper border, always within the frame."""
    mask = text_mask(text, size)
    pad = max(2, size // 4)
    width, height = mask.shape[1] + 2 * pad, mask.shape[0] + pad
    x = int(np.clip(box[0], 0, max(0, canvas.shape[1] - width)))
    y = int(box[1] - height if box[1] >= height else max(box[1], 0))
    cv2.rectangle(canvas, (x, y), (x + width, y + height), color, -1)
    luma = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]
    put_text(canvas, mask, x + pad, y + pad // 2, PLATE if luma > 127 else WHITE)


@lru_cache(maxsize=64)
def panel_size(names: tuple[str, ...], size: int) -> tuple[int, int]:
    """Width and height in pixels of the panel of bars."""
    widest = max(text_mask(name, size).shape[1] for name in names)
    return widest + 4 * size + text_mask("100%", size).shape[1] + 2 * size, round(1.25 * size) * len(names) + size


def panel_place(
    box: Box, taken: Sequence[Box], panel: tuple[int, int], shape: tuple[int, ...]
) -> tuple[int, int] | None:
    """
    Top left corner of the panel: right of the face, or left, or below, or in the corner of the frame that covers least
    of the face's middle; None where it fits nowhere without covering what else is `taken`.
    """
    width, height = panel
    x, y, w, h = box
    gap = 6
    y_beside = int(np.clip(y, 0, max(0, shape[0] - height)))
    x_below = int(np.clip(x, 0, max(0, shape[1] - width)))
    for left, top in (
        (round(x + w) + gap, y_beside),
        (round(x) - gap - width, y_beside),
        (x_below, round(y + h) + gap),
    ):
        inside = left >= 0 and top >= 0 and left + width <= shape[1] and top + height <= shape[0]
        if inside and all(overlap((left, top, width, height), other)[1] < 0.02 for other in taken):
            return left, top
    others = [other for other in taken if other != box]
    middle = (x + w / 5, y + h / 5, 3 * w / 5, 3 * h / 5)
    right, bottom = shape[1] - width - gap, shape[0] - height - gap
    corners = [(gap, bottom), (right, bottom), (right, gap), (gap, gap)] if min(right, bottom) >= gap else []
    free = [at for at in corners if all(overlap((*at, width, height), other)[1] < 0.02 for other in others)]
    return min(free, key=lambda at: overlap((*at, width, height), middle)[1], default=None)


def draw_bars(canvas: NDArray[np.uint8], scores: dict[str, float], place: tuple[int, int], size: int) -> None:
    """The panel: a line per expression with its name, a bar in its colour, and the percentage."""
    width, height = panel_size(tuple(scores), size)
    left, top = place
    part = canvas[top : top + height, left : left + width]
    part[:] = (part >> 2) + PLATE[0] // 2  # dark enough for white letters on any ground
    line = round(1.25 * size)
    widest = max(text_mask(name, size).shape[1] for name in scores)
    for row, (name, score) in enumerate(scores.items()):
        y = top + size // 2 + row * line
        put_text(canvas, text_mask(name, size), left + size // 2, y, WHITE)
        x = left + size + widest
        cv2.rectangle(canvas, (x, y + line // 5), (x + 4 * size, y + line * 4 // 5), (90, 90, 90), 1)
        color = EMOTION_COLORS.get(name, OTHER_COLOR)
        cv2.rectangle(canvas, (x, y + line // 5), (x + round(4 * size * score), y + line * 4 // 5), color, -1)
        put_text(canvas, text_mask(f"{score:.0%}", size), x + 4 * size + size // 2, y, WHITE)
