"""The endpoints for programs: /predict and /explain a photo, /predict_video, /predict_frame; no HTML."""

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from clip_tab import Clip, analyse
from photo import Photo, decode_data_url, told
from photo_tab import Analyst, Settings, read
from PIL import Image
from server.uploads import Uploads
from webcam_tab import new_session, process
from why import cover_all, densities, reason

from gimefive_hf import ExpressionRecognizer, Face, load_image
from gimefive_hf.explain import METHODS
from gimefive_hf.explain.regions import REGIONS


def build(analyst: Analyst, fast: ExpressionRecognizer, uploads: Uploads) -> None:
    """Add the endpoints, `fast` for moving pictures; to be called inside the page's `gr.Blocks`."""

    @told
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
        faces = analyst.faces(read(required(photo)), Settings(crops=bool(crops)))
        return {"model": analyst.model, "faces": [as_record(face) for face in faces]}

    @told
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
        return explain_face(analyst, read(required(photo)), bool(crops), str(method), face)

    @told
    def predict_video(clip: tuple[str, Path] | None, every: float = 1) -> dict[str, Any]:
        """
        The persons in a clip and their scores over time.

        Args:
            clip: an uploaded video of up to 20 MB; its first 30 seconds are taken.
            every: analyse each so many-th frame, from 1 to 100.

        Returns:
            `rows` (one per person and analysed frame, with the columns of `gimefive video --timeline`; `_smooth` is
            the mean around the moment), `frames`, `broken`, `without_face`, `persons`.
        """
        _, table, summary = analyse(fast, uploads, required(clip, "video"), every=every, annotate=False)
        rows = table.astype(object)  # pandas writes None where a cell is empty
        counts = {name: getattr(summary, name) for name in ("frames", "broken", "without_face", "persons")}
        return {"rows": rows.where(rows.notna(), None).to_dict("records"), **counts}

    @told
    def predict_frame(frame: str) -> list[dict[str, Any]]:
        """Persons in one frame, given as a base64 data URL of an image; each as a face of `/predict`."""
        people = process(fast, new_session(fast), load_image(decode_data_url(frame)), False, False).people
        return [as_record(person.face) for person in people]

    photo = Photo(visible=False, label="photo").kept_in(uploads)
    clip = Clip(visible=False, label="clip").kept_in(uploads)
    crops = gr.Checkbox(visible=False, label="crops")
    method = gr.Textbox("grad-cam", visible=False, label="method")
    face, every = (gr.Number(1, visible=False, label=label) for label in ("face", "every"))
    frame, result = gr.Textbox(visible=False, label="frame"), gr.JSON(visible=False, label="result")

    def publish(function: Callable[..., Any], inputs: list, **options: Any) -> None:
        gr.Button(visible=False).click(function, inputs, result, api_name=function.__name__, **options)

    publish(predict, [photo, crops])
    publish(explain, [photo, crops, method, face])
    publish(predict_video, [clip, every], concurrency_limit=1, concurrency_id="video")
    publish(predict_frame, [frame])


def required(upload: Any, kind: str = "photo") -> Any:
    if upload is None:
        raise ValueError(f"expected a {kind}")
    return upload


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
