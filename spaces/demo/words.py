"""What the page says of a face, in words that a layman understands and that never contradict each other."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import gimefive_hf
from gimefive_hf import Face

# Answers behind a statement of how often such answers are right.
ENOUGH = 100
NOT_A_FEELING = "An expression, not a feeling"


def percent(value: float) -> str:
    """0.994 → "99 %"; nothing is certain, and nothing that was seen is impossible."""
    return "> 99 %" if value >= 0.995 else "< 1 %" if value < 0.005 else f"{value:.0%}".replace("%", " %")


def headline(face: Face) -> str:
    """The one verdict that status, card, label and picture all use."""
    return face.emotion.capitalize() if face.is_clear else "No clear expression"


def detail(face: Face) -> str:
    """The sentence under the headline."""
    first, second = sorted(face.scores, key=face.scores.__getitem__, reverse=True)[:2]
    if face.is_clear and face.scores[second] < 0.15:
        return f"The network gives {first} {percent(face.scores[first])}; nothing else comes near."
    if face.is_clear:
        return f"{first.capitalize()} {percent(face.scores[first])}, then {second} {percent(face.scores[second])}."
    nearest = f"{first} {percent(face.scores[first])} and {second} {percent(face.scores[second])}"
    return f"Nearest: {nearest}; too little to name one."


def read_reliability(model: str | Path) -> list[dict[str, float]]:
    """The bins of the calibrated model's held-out answers (low, high, count, accuracy); none where nobody counted."""
    bundled = Path(gimefive_hf.__file__).parent / "checkpoints" / str(model)
    for folder in (bundled, Path(model)):
        path = folder / "calibration.json"
        if path.is_file():
            corpora = json.loads(path.read_text(encoding="utf-8")).get("held_out", {}).values()
            return [bin for corpus in corpora for bin in corpus.get("calibrated", {}).get("reliability", [])]
    return []


def sureness(confidence: float, bins: Sequence[Mapping[str, float]]) -> str:
    """How often answers as sure as this one were right on images that were held out, or "" where that is not known."""
    nearest = sorted(bins, key=lambda bin: abs((bin["low"] + bin["high"]) / 2 - confidence))
    count = right = 0.0
    for bin in nearest:
        count, right = count + bin["count"], right + bin["count"] * bin["accuracy"]
        if count >= ENOUGH:
            share = right / count
            often = f"About {round(10 * share)} in 10" if share < 0.95 else "More than 19 in 20"
            return f"{often} answers as sure as this one were right on images kept out of training."
    return ""


def status(faces: Sequence[Face]) -> str:
    """One line for sighted and blind readers alike."""
    if not faces:
        return (
            "No face found. It should be at least a twentieth of the picture's height and not turned away. If the "
            "picture is nothing but one face, switch on “already cropped” in the settings."
        )
    if len(faces) == 1:
        return f"One face: {headline(faces[0]).lower()}{sure_of(faces[0])}."
    largest = f"{headline(faces[0]).lower()}{sure_of(faces[0])}"
    return f"{len(faces)} faces. The largest: {largest}. Choose another in the photo."


def sure_of(face: Face) -> str:
    return f", {percent(face.score)}" if face.is_clear else ""
