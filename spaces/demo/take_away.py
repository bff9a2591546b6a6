"""The result as a picture for slides: the face, its heat map, the bars, and what is to be kept in mind."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from words import NOT_A_FEELING, detail, headline, percent

from cards import portrait
from gimefive_hf import Face, __version__
from gimefive_hf.drawing.colors import EMOTION_COLORS, OTHER_COLOR
from gimefive_hf.drawing.marks import overlay_heat

SIZE = (1600, 900)
FACE_SIDE = 620
MARGIN = 70
INK, GREY, PAPER, TRACK = (20, 24, 32), (84, 90, 102), (255, 255, 255), (232, 234, 239)


def card_picture(
    image: NDArray[np.uint8], face: Face, heat: NDArray[np.float32] | None, model: str, why: str = ""
) -> Image.Image:
    """
    A slide of 1600×900, RGB.

    Args:
        image: the photo that the face was found in.
        heat: laid over half of the face's brightness; None shows the face alone.
        why: a sentence below the face.
    """
    card = Image.new("RGB", SIZE, PAPER)
    draw = ImageDraw.Draw(card)
    skin = portrait(image, face, FACE_SIDE)
    card.paste(Image.fromarray(skin if heat is None else overlay_heat(skin, heat, strength=0.5)), (MARGIN, MARGIN))
    draw.rectangle(
        (0, 0, SIZE[0], 16), fill=EMOTION_COLORS.get(face.emotion, OTHER_COLOR) if face.is_clear else OTHER_COLOR
    )
    left = MARGIN + FACE_SIDE + 60
    draw.text((left, MARGIN - 12), headline(face), INK, ImageFont.load_default(84))
    draw_lines(draw, (left, MARGIN + 100), detail(face), 30, SIZE[0] - left - MARGIN, GREY)
    draw_bars(draw, face, left, MARGIN + 200)
    draw_lines(draw, (MARGIN, MARGIN + FACE_SIDE + 24), why, 28, FACE_SIDE, GREY)
    foot = f"{NOT_A_FEELING}. Not for decisions about people.    GiMeFive {__version__}, model {model}"
    draw.text((MARGIN, SIZE[1] - 62), foot, GREY, ImageFont.load_default(27))
    return card


def draw_bars(draw: ImageDraw.ImageDraw, face: Face, left: int, top: int) -> None:
    """One bar an expression, highest first."""
    font = ImageFont.load_default(34)
    names: Sequence[str] = sorted(face.scores, key=face.scores.__getitem__, reverse=True)
    step = min(82, (SIZE[1] - 110 - top) // len(names))
    start, end = left + 190, SIZE[0] - MARGIN - 120
    for index, name in enumerate(names):
        y = top + index * step
        draw.text((left, y + step // 2 - 6), name, INK, font, anchor="lm")
        draw.rounded_rectangle((start, y, end, y + step - 14), 8, fill=TRACK)
        width = max(6, round((end - start) * face.scores[name]))
        draw.rounded_rectangle((start, y, start + width, y + step - 14), 8, fill=EMOTION_COLORS.get(name, OTHER_COLOR))
        draw.text((SIZE[0] - MARGIN, y + step // 2 - 6), percent(face.scores[name]), INK, font, anchor="rm")


def draw_lines(
    draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, size: int, width: int, color: tuple[int, int, int]
) -> None:
    """Text broken into lines of at most `width` pixels."""
    font = ImageFont.load_default(size)
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and draw.textlength(longer, font) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    draw.multiline_text(place, "\n".join(lines), color, font, spacing=10)
