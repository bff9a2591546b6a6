"""Why this answer: the parts that count, the maps of all expressions, and what the network says with parts covered."""

import csv
import html
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from photo import shrink, to_data_url
from stage import color_of
from words import percent

from cards import crop_points, heat_url, portrait
from gimefive_hf import ExpressionRecognizer, Face
from gimefive_hf.explain import explain_classes
from gimefive_hf.explain.covering import Covered, cover_parts
from gimefive_hf.explain.face import describe_heat, face_landmarks
from gimefive_hf.explain.regions import BACKGROUND, REGIONS

SMALL = 132
COVERED_SIDE = 224
# Methods that answer within half a second, as people know them. `cam` equals Grad-CAM on these networks.
NAMES = {
    "grad-cam": "Grad-CAM: where the score comes from",
    "occlusion": "Occlusion: what it misses when covered",
    "layer-cam": "Layer-CAM",
    "grad-cam++": "Grad-CAM++",
    "integrated-gradients": "Integrated gradients: pixel by pixel",
}
# Occlusion is worth trusting and takes half a second a face, Grad-CAM is quick: the one for a portrait, else the other.
AUTOMATIC, CAREFUL, QUICK = "automatic", "occlusion", "grad-cam"
TRUSTED, UNSHOWN = "worth trusting", "not shown to be better"


@lru_cache
def measured(model: str) -> dict[str, str]:
    """Method → the project's verdict about its maps of this model, as stored; empty where they were not measured."""
    here = Path(__file__).parent
    for path in (here / "faithfulness.csv", here.parents[1] / "evaluation" / "results" / "faithfulness.csv"):
        if path.is_file():
            with open(path, encoding="utf-8", newline="") as file:
                return {row["method"]: row["verdict"] for row in csv.DictReader(file) if row["model"] == model}
    return {}


def offered(model: str) -> list[tuple[str, str]]:
    """(label, method) of the methods to choose from: the quick one, and those shown to be better than a blob."""
    verdicts = measured(model)
    kept = [name for name in NAMES if name == QUICK or not verdicts.get(name, "").startswith(UNSHOWN)]
    return [(f"Occlusion where there is one face, else {NAMES[QUICK].split(':')[0]}", AUTOMATIC)] + [
        (NAMES[name] + remark(verdicts.get(name)), name) for name in kept
    ]


def method_for(method: str, faces: int) -> str:
    """The method that is meant, in a photo of so many faces."""
    return method if method != AUTOMATIC else CAREFUL if faces == 1 else QUICK


def remark(verdict: str | None) -> str:
    if verdict is None:
        return " (not measured on this model)"
    if verdict.startswith(UNSHOWN):
        return " (not shown to be better than a blob in the centre)"
    return " (worth trusting)" if verdict == TRUSTED else " (finds what is used, less for what)"


def why_html(
    fer: ExpressionRecognizer, image: NDArray[np.uint8], face: Face, heat: NDArray[np.float32], method: str, model: str
) -> str:
    """The panel below the card of the chosen face."""
    return (
        f'<section class="why"><h3>Why?</h3><p class="reason">{html.escape(reason(face, heat))}</p>'
        f"{worth_html('The map:', method, model)}"
        f"<h4>What if a part is covered?</h4>{covered_html(fer, face, cover_all(fer, face))}"
        f"<h4>Why not another?</h4>{maps_html(fer, image, face)}{worth_html('These maps:', QUICK, model)}</section>"
    )


def worth_html(start: str, method: str, model: str) -> str:
    """Whose map it is, and what such maps were found to be worth on the model."""
    name = html.escape(f"{start} {NAMES.get(method, method).split(':')[0]}{remark(measured(model).get(method))}.")
    return f'<p class="note">{name}</p>'


def reason(face: Face, heat: NDArray[np.float32]) -> str:
    """The parts with the densest evidence: what they hold of the map beside what they hold of the picture."""
    if face.landmarks is None:
        return "No landmarks were found on this face, so its parts cannot be told apart."
    density = densities(face, heat)
    if density is None:
        return f"The map is empty: nowhere does the picture speak for {face.emotion} more than against it."
    order = [index for index in np.argsort(-density, kind="stable") if index != BACKGROUND and density[index] >= 1.2]
    if not order:
        return f"The evidence for {face.emotion} is spread evenly; no part of the face stands out."
    first, *others = order
    text = (
        f"The {REGIONS[first]} {verb(first)} most for {face.emotion}: {times(density[first])} its share of the picture."
    )
    if others:
        text += f" Then the {REGIONS[others[0]]}, {times(density[others[0]])}."
    outside = " Much of it lies outside the face, so don't rely on it." if density[BACKGROUND] >= 1 else ""
    return text + outside


def verb(region: int) -> str:
    return "count" if REGIONS[region].endswith("s") else "counts"


def times(value: float) -> str:
    return f"{value:.1f} times"


def densities(face: Face, heat: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Evidence per area of each of `REGIONS`, 1 for an even map; None without map or landmarks."""
    found = describe_heat(face.crop.image, face.emotion, face.score, heat, face_landmarks(face))
    shares, area = (np.array(list(by_region.values())) for by_region in (found.shares, found.areas))
    if not np.isfinite(shares).all():
        return None
    return np.divide(shares, area, out=np.zeros_like(shares), where=area > 0)


def cover_all(fer: ExpressionRecognizer, face: Face) -> list[Covered]:
    """The face with each part covered, scored again; the largest fall first."""
    points = crop_points(face)
    if points is None:
        return []
    crop = shrink(face.crop.image, COVERED_SIDE)
    covered = cover_parts(crop, points * crop.shape[1::-1], fer.score_crops)
    return sorted(covered, key=lambda part: score_without(fer, face, part))


def score_without(fer: ExpressionRecognizer, face: Face, part: Covered) -> float:
    """What the face's expression gets with the part covered, among the expressions that are shown."""
    by_name = dict(zip(fer.emotions, part.scores.tolist(), strict=True))
    return by_name[face.emotion] / sum(by_name[name] for name in face.scores)


def covered_html(fer: ExpressionRecognizer, face: Face, parts: Sequence[Covered]) -> str:
    if not parts:
        return "<p>No part could be covered here.</p>"
    cells = []
    for part in parts:
        after = score_without(fer, face, part)
        fall = f"{percent(face.score)} → <b>{percent(after)}</b>"
        big = "big" if face.score - after > 0.15 else ""
        picture = f'<img src="{to_data_url(part.crop, 85)}" alt="The face with its {part.part} covered">'
        cells.append(f'<li class="{big}">{picture}<span>without the {part.part}</span><span>{fall}</span></li>')
    lead = f"The score of {face.emotion}, measured again with the part painted over in the skin's colour:"
    return f'<p>{html.escape(lead)}</p><ul class="covered">{"".join(cells)}</ul>'


def maps_html(fer: ExpressionRecognizer, image: NDArray[np.uint8], face: Face) -> str:
    """A small heat map for each expression; a click lays it over the large face."""
    names = list(face.scores)
    maps = explain_classes(fer.model, fer.pixel_values([face.crop.image]), QUICK, names)[0]
    skin = to_data_url(portrait(image, face, SMALL), 80)
    cells = []
    for name, heat in sorted(zip(names, maps, strict=True), key=lambda pair: -face.scores[pair[0]]):
        score = percent(face.scores[name])
        layers = f'<img src="{skin}" alt=""><img class="heat" src="{heat_url(heat)}" alt="">'
        cells.append(
            f'<button type="button" class="map" data-map="{name}" style="--c:{color_of(name)}" '
            f'aria-label="Show what speaks for {name}, {score}, on the large face">'
            f'<span class="portrait">{layers}</span><span>{name}<br>{score}</span></button>'
        )
    lead = "What speaks for each expression, each map scaled by itself. Click one to see it on the large face."
    return f'<p>{lead}</p><div class="maps">{"".join(cells)}</div>'
