"""The result card of a face: large and upright, heat map and landmarks to lay over it, verdict, bars."""

import base64
import html
import io
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from photo import to_data_url
from PIL import Image
from stage import color_of
from words import detail, headline, percent, sureness

from gimefive_hf import Face
from gimefive_hf.drawing.marks import color_map
from gimefive_hf.faces.cropping import warp_square

PORTRAIT = 440
HEAT_SIDE = 160


def portrait(image: NDArray[np.uint8], face: Face, side: int = PORTRAIT) -> NDArray[np.uint8]:
    """The aligned face in the photo's own resolution, (side, side, 3); a crop is stretched as the network sees it."""
    height, width = face.crop.image.shape[:2]
    scale = np.diag([side / width, side / height]) @ face.crop.matrix
    if height == width:
        return warp_square(image, scale, side)
    return np.array(Image.fromarray(face.crop.image).resize((side, side), Image.Resampling.BICUBIC))


def crop_points(face: Face) -> NDArray[np.float32] | None:
    """The 68 landmarks as shares of the crop's sides, (68, 2), or None."""
    if face.landmarks is None:
        return None
    return (face.crop.to_crop(face.landmarks) / face.crop.image.shape[1::-1]).astype(np.float32)


def heat_url(heat: NDArray[np.float32]) -> str:
    """A heat map as a picture that is the more opaque the hotter it is, as a data URL."""
    small = np.asarray(Image.fromarray(heat).resize((HEAT_SIDE, HEAT_SIDE), Image.Resampling.BICUBIC)).clip(0, 1)
    alpha = (255 * np.sqrt(small)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.dstack([color_map(small.astype(np.float32), "inferno"), alpha])).save(buffer, "WEBP", quality=75)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def cards_html(
    image: NDArray[np.uint8],
    faces: Sequence[Face],
    heats: Sequence[NDArray[np.float32]],
    bins: Sequence[Mapping[str, float]],
) -> str:
    """A card for each face that has a heat map; all but the first are hidden until they are chosen."""
    pairs = zip(faces, heats, strict=False)
    return "".join(card_html(image, face, heat, bins, index) for index, (face, heat) in enumerate(pairs))


def card_html(
    image: NDArray[np.uint8], face: Face, heat: NDArray[np.float32], bins: Sequence[Mapping[str, float]], index: int
) -> str:
    color = color_of(face.emotion if face.is_clear else "")
    picture = to_data_url(portrait(image, face), 88)
    dots = landmarks_svg(face)
    sure = f'<p class="sure">{html.escape(sureness(face.score, bins))}</p>' if face.is_clear else ""
    name, hidden = f"Face {index + 1}", " hidden" if index else ""
    return f"""<article class="card" data-card="{index}" aria-label="Result: {name}"{hidden} style="--c:{color}">
<div class="portrait"><img class="skin" src="{picture}" alt="{name}, upright: {headline(face).lower()}">
<img class="heat" src="{heat_url(heat)}" alt="">{dots}</div>
<div class="controls"><label>photo <input type="range" min="0" max="100" value="55" data-heat
 aria-label="From the photo to its heat map"> heat</label>
<label><input type="checkbox" data-dots> 68 landmarks</label><span class="shown" data-shown></span></div>
<div class="verdict"><h2>{html.escape(headline(face))}</h2><p>{html.escape(detail(face))}</p>{sure}</div>
{bars_html(face)}</article>"""


def landmarks_svg(face: Face) -> str:
    points = crop_points(face)
    if points is None:
        return ""
    dots = "".join(f'<circle cx="{100 * x:.1f}" cy="{100 * y:.1f}" r=".8"/>' for x, y in points)
    return f'<svg class="dots" viewBox="0 0 100 100" aria-hidden="true">{dots}</svg>'


def bars_html(face: Face) -> str:
    """The scores, highest first, thick enough to be read across a room."""
    rows = []
    for name, score in sorted(face.scores.items(), key=lambda pair: -pair[1]):
        rows.append(
            f'<li style="--c:{color_of(name)};--v:{100 * score:.1f}%"><span class="name">{html.escape(name)}</span>'
            f'<span class="bar"></span><span class="value">{percent(score)}</span></li>'
        )
    return f'<ul class="bars" id="scores">{"".join(rows)}</ul>'
