"""The photo with its faces as buttons: chosen by click, by keyboard or by a screen reader."""

import csv
import html
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from photo import to_data_url
from words import headline, percent, status

from gimefive_hf import Face
from gimefive_hf.drawing.colors import EMOTION_COLORS, OTHER_COLOR

# Badges are placed for a photo that is shown this wide, in CSS pixels; on wider ones they are only further apart.
SHOWN_WIDTH = 340
BADGE = 26
# Of more faces, only the number of the one that is chosen or pointed at is shown: all would hide the faces.
MOST_NUMBERED = 12


def color_of(name: str) -> str:
    return "rgb{}".format(EMOTION_COLORS.get(name, OTHER_COLOR))  # noqa: UP032 (quotes inside quotes)


def stage_html(image: NDArray[np.uint8], faces: Sequence[Face], note: str = "", example: str = "") -> str:
    """Status, photo, and a list of the faces; the first is chosen. `note` is HTML to stand below it."""
    height, width = image.shape[:2]
    badges = place_badges([face.box for face in faces], width, height)
    buttons = "".join(
        face_button(index, face, badge, width, height)
        for index, (face, badge) in enumerate(zip(faces, badges, strict=True))
    )
    shown = "; ".join(f"face {i + 1} {headline(face).lower()}" for i, face in enumerate(faces)) or "no face found"
    picture = f'<img id="photo-out" src="{to_data_url(image)}" alt="The photo: {shown}">'
    chips = "".join(chip(index, face) for index, face in enumerate(faces)) if len(faces) > 1 else ""
    return (
        f'<p id="status-line" class="status">{html.escape(status(faces))}</p>'
        f'<div class="stage" data-shown="{html.escape(example)}" data-csv="{html.escape(scores_csv(faces))}">'
        f'<div class="photo{" crowd" if len(faces) > MOST_NUMBERED else ""}">{picture}{buttons}</div></div>'
        + (f'<div class="chips" role="group" aria-label="Faces">{chips}</div>' if chips else "")
        + (f'<p class="note">{note}</p>' if note else "")
    )


def scores_csv(faces: Sequence[Face]) -> str:
    """One row per face: number, box in pixels of the photo as shown, verdict, scores."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["face", "x", "y", "width", "height", "verdict", *(faces[0].scores if faces else ())])
    for number, face in enumerate(faces, 1):
        box = [round(float(value), 1) for value in face.box]
        writer.writerow([number, *box, face.label, *(round(score, 6) for score in face.scores.values())])
    return buffer.getvalue()


def face_button(index: int, face: Face, badge: tuple[float, float], width: int, height: int) -> str:
    x, y, w, h = face.box
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + w, width), min(y + h, height)
    place = [100 * left / width, 100 * top / height, 100 * (right - left) / width, 100 * (bottom - top) / height]
    style = "left:{:.2f}%;top:{:.2f}%;width:{:.2f}%;height:{:.2f}%".format(*place)
    name = html.escape(f"Face {index + 1}: {headline(face)}" + (f", {percent(face.score)}" if face.is_clear else ""))
    color = color_of(face.emotion if face.is_clear else "")
    spot = f"left:{100 * badge[0]:.2f}%;top:{100 * badge[1]:.2f}%;--c:{color}"
    mark = f'<span class="badge" aria-hidden="true" style="{spot}">{index + 1}</span>'
    pressed = "true" if index == 0 else "false"
    return (
        f'<button type="button" class="face" data-face="{index}" aria-pressed="{pressed}" aria-label="{name}" '
        f'style="{style};--c:{color}"></button>{mark}'
    )


def chip(index: int, face: Face) -> str:
    """The same choice as a line of text: what a small face in a large photo cannot carry."""
    score = f" <b>{percent(face.score)}</b>" if face.is_clear else ""
    color = color_of(face.emotion if face.is_clear else "")
    return (
        f'<button type="button" class="chip" data-face="{index}" aria-pressed="{"true" if index == 0 else "false"}" '
        f'style="--c:{color}"><i></i>{index + 1} {html.escape(headline(face))}{score}</button>'
    )


def place_badges(boxes: Sequence[tuple], width: int, height: int) -> list[tuple[float, float]]:
    """
    Centres of the numbers, as shares of the photo: beside each face, over no face and no other number if that can be.

    Above the box if there is room, else below, right, left; the last resort is above all the same.
    """
    scale = SHOWN_WIDTH / width
    side = BADGE / scale  # in the photo's pixels
    areas = [(x, y, x + w, y + h) for x, y, w, h in boxes]
    taken: list[tuple] = []
    places = []
    for x, y, w, h in boxes:
        centres = [(x + w / 2, y - 0.6 * side), (x + w / 2, y + h + 0.6 * side), (x + w + 0.6 * side, y + h / 2)]
        centres += [(x - 0.6 * side, y + h / 2), (x + w, y - 0.6 * side), (x, y - 0.6 * side)]
        squares = [(cx - side / 2, cy - side / 2, cx + side / 2, cy + side / 2) for cx, cy in centres]
        inside = [s for s in squares if s[0] >= 0 and s[1] >= 0 and s[2] <= width and s[3] <= height] or squares
        free = [s for s in inside if not any(touch(s, other) for other in (*taken, *areas))]
        best = (free or [s for s in inside if not any(touch(s, other) for other in taken)] or inside)[0]
        taken.append(best)
        places.append(((best[0] + best[2]) / 2 / width, (best[1] + best[3]) / 2 / height))
    return places


def touch(a: tuple, b: tuple) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
