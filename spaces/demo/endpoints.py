"""The endpoints for programs: /predict and /explain for a photo, named answers, no HTML."""

import base64
import io
from typing import Any

import gradio as gr
from photo import Photo
from photo_tab import Analyst, Settings, read
from PIL import Image
from server.uploads import Uploads
from why import cover_all, densities, reason

from gimefive_hf import Face
from gimefive_hf.explain import METHODS
from gimefive_hf.explain.regions import REGIONS


def build(analyst: Analyst, uploads: Uploads) -> None:
    """Add the endpoints; to be called inside the page's `gr.Blocks`."""

    def predict(photo: tuple[str, bytes] | None, crops: bool = False) -> dict[str, Any]:
        """
        The faces of a photo and their scores.

        Args:
            photo: an uploaded image of up to 20 MB.
            crops: the picture is one face, already cropped; nothing is searched.

        Returns:
            `model`, and `faces`, largest first: `box` (x, y, width, height in pixels), `emotion`, `confidence`,
            `clear` (whether it reaches the model's threshold), `scores`.
        """
        try:
            faces = analyst.faces(read(required(photo)), Settings(crops=bool(crops)))
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None
        return {"model": analyst.model, "faces": [as_record(face) for face in faces]}

    def explain(
        photo: tuple[str, bytes] | None, crops: bool = False, method: str = "grad-cam", face: float = 1
    ) -> dict[str, Any]:
        """
        Why one face of a photo gets its answer.

        Args:
            photo: an uploaded image of up to 20 MB.
            crops: the picture is one face, already cropped.
            method: of the heat map, a name of `gimefive explain --method`.
            face: which face, from 1, the largest first.

        Returns:
            What `/predict` says of the face, and `reason` (a sentence), `evidence_per_area` (region → how much more
            than chance), `covered` (part → scores without it), `heat_map` (grey PNG over the aligned face, base64).
        """
        try:
            return explain_face(analyst, read(required(photo)), bool(crops), str(method), face)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None

    photo = Photo(visible=False, label="photo").kept_in(uploads)
    crops = gr.Checkbox(visible=False, label="crops")
    method = gr.Textbox("grad-cam", visible=False, label="method")
    face = gr.Number(1, visible=False, label="face")
    result = gr.JSON(visible=False, label="result")
    gr.Button(visible=False).click(predict, [photo, crops], result, api_name="predict")
    gr.Button(visible=False).click(explain, [photo, crops, method, face], result, api_name="explain")


def required(photo: tuple[str, bytes] | None) -> tuple[str, bytes]:
    if photo is None:
        raise ValueError("expected a photo")
    return photo


def explain_face(analyst: Analyst, image: Any, crops: bool, method: str, number: float | None) -> dict[str, Any]:
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method[:40]!r}")
    faces = analyst.faces(image, Settings(crops=crops))
    if number not in range(1, len(faces) + 1):
        raise ValueError(f"expected a face from 1 to {len(faces)}; got {number}" if faces else "no face found")
    face = faces[int(number) - 1]
    [heat] = analyst.heats([face], method)
    density = densities(face, heat)
    covered = {
        part.part: dict(zip(analyst.fer.emotions, map(float, part.scores), strict=True))
        for part in cover_all(analyst.fer, face)
    }
    return {
        "model": analyst.model,
        **as_record(face),
        "method": method,
        "reason": reason(face, heat),
        "evidence_per_area": None if density is None else dict(zip(REGIONS, map(float, density), strict=True)),
        "covered": covered,
        "heat_map": grey_png(heat),
    }


def as_record(face: Face) -> dict[str, Any]:
    return {
        "box": [round(float(value), 1) for value in face.box],
        "emotion": face.emotion,
        "confidence": face.score,
        "clear": face.is_clear,
        "scores": face.scores,
    }


def grey_png(heat: Any) -> str:
    buffer = io.BytesIO()
    Image.fromarray((255 * heat).round().astype("uint8")).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
