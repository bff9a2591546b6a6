"""The image tab: every face boxed and numbered; for the chosen face its scores, heat map and landmarks."""

import html

import cv2
import gradio as gr
import numpy as np
from numpy.typing import NDArray
from photo import Photo, image_html, shrink, to_data_url
from server.uploads import Uploads

from gimefive_hf import ExpressionRecognizer, Face, load_image
from gimefive_hf.drawing.marks import COLOR_MAPS, color_map, draw_boxes, draw_landmarks, overlay_heat
from gimefive_hf.explain import METHODS, explain
from gimefive_hf.explain.regions import reason, region_map, region_shares

WINNER = "the winner"
CLOSE_UP_SIDE = 320
# Methods that answer within about a second on two cores.
FAST_METHODS = [name for name in METHODS if name not in ("score-cam", "occlusion", "integrated-gradients")]


def build(fer: ExpressionRecognizer, uploads: Uploads) -> None:
    """Lay out the tab and connect it to `fer`; to be called inside a `gr.Tab`."""
    with gr.Row():
        with gr.Column(min_width=300):
            photo = Photo(
                sources=["upload", "clipboard", "webcam"], type="filepath", label="Photo", elem_id="photo", height=360
            ).kept_in(uploads)
            is_crop = gr.Checkbox(label="The picture is one face, already cropped", elem_id="is-crop")
            number = gr.Radio([], label="Face", elem_id="face-number", visible=False)
            with gr.Row():
                emotion = gr.Dropdown([WINNER, *fer.emotions], value=WINNER, label="Evidence for", min_width=140)
                method = gr.Dropdown(FAST_METHODS, value="grad-cam", label="Method", min_width=140)
            with gr.Row():
                show_heat = gr.Checkbox(True, label="Heat map", elem_id="show-heat")
                show_landmarks = gr.Checkbox(False, label="68 landmarks", elem_id="show-landmarks")
        with gr.Column(min_width=300):
            status = gr.Markdown("Upload, paste or take a photo.", elem_id="status")
            annotated = gr.HTML(elem_id="annotated")
            scores = gr.Label(num_top_classes=len(fer.emotions), label="Scores", elem_id="scores", visible=False)
            close_up = gr.HTML(elem_id="close-up")

    def hold(upload: tuple[str, bytes] | None) -> tuple[str | None, str]:
        """Send the photo back as a data URL: from here on only the browser has it."""
        if upload is None:
            return None, "Upload, paste or take a photo."
        try:
            return to_data_url(shrink(read(upload))), "Looking for faces…"
        except ValueError as error:
            return None, f"⚠️ {html.escape(str(error))}"

    def show(held, crops, chosen, emotion_name, method_name, heat_on, landmarks_on):
        if held is None:
            return gr.skip(), "", gr.update(visible=False), "", gr.update(choices=[], value=None, visible=False)
        image = read(held)
        faces = fer(image, crops=crops)
        if not faces:
            message = (
                "No face found. A face should be at least a twentieth of the picture's height and not turned away."
            )
            empty = gr.update(choices=[], value=None, visible=False)
            return message, image_html(image, "photo without a face", "photo-out"), gr.update(visible=False), "", empty
        names = [str(index + 1) for index in range(len(faces))]
        index = names.index(chosen) if chosen in names else 0
        face = faces[index]
        target = face.emotion if emotion_name == WINNER else emotion_name
        heat = explain(fer.model, fer.pixel_values([face.crop.image]), method_name, target)[0] if heat_on else None
        radio = gr.update(choices=names, value=names[index], visible=len(faces) > 1)
        return (
            describe(faces, index, None if heat is None else evidence(face, target, heat), method_name),
            image_html(annotate(image, faces, index, heat, landmarks_on), "photo with its faces marked", "photo-out"),
            gr.update(value=face.scores, visible=True),
            close_up_html(face, heat, target),
            radio,
        )

    inputs = [photo, is_crop, number, emotion, method, show_heat, show_landmarks]
    outputs = [status, annotated, scores, close_up, number]
    gr.on([photo.input, photo.clear], hold, photo, [photo, status], api_visibility="private").then(
        show, inputs, outputs, api_visibility="private"
    )
    for control in (is_crop, number, emotion, method, show_heat, show_landmarks):
        control.input(show, inputs, outputs, api_visibility="private", show_progress="minimal")

    def predict(upload: tuple[str, bytes] | None, crops: bool = False) -> list[dict]:
        """Faces of a photo, largest first: box in pixels, scores, emotion, confidence. Errors are told as such."""
        if upload is None:
            raise gr.Error("expected a photo", print_exception=False)
        try:
            return [as_record(face) for face in fer(read(upload), crops=crops)]
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None

    gr.Button(visible=False).click(predict, [photo, is_crop], gr.JSON(visible=False), api_name="predict")


def read(upload: tuple[str, bytes]) -> NDArray[np.uint8]:
    """Decode an upload. Raises ValueError that names the file."""
    name, data = upload
    try:
        return load_image(data)
    except ValueError as error:
        # load_image knows bytes only as "image"
        raise ValueError(str(error).replace("image:", f"{name}:", 1)) from None


def as_record(face: Face) -> dict:
    return {
        "box": [round(value, 1) for value in face.box],
        "emotion": face.emotion,
        "confidence": face.score,
        "clear": face.is_clear,
        "scores": face.scores,
    }


def annotate(
    image: NDArray[np.uint8], faces: list[Face], index: int, heat: NDArray[np.float32] | None, landmarks: bool
) -> NDArray[np.uint8]:
    """The photo with the chosen face's heat map and landmarks, and every face's box."""
    face = faces[index]
    if heat is not None:
        image = overlay_heat(image, heat, face.crop)
    if landmarks and face.landmarks is not None:
        image = draw_landmarks(image, face.landmarks)
    return draw_boxes(image, faces, chosen=index)


def evidence(face: Face, target: str, heat: NDArray[np.float32]) -> str:
    """The parts of the face that spoke for `target`, as a sentence."""
    to_heat = np.array([heat.shape[1], heat.shape[0]]) / face.crop.image.shape[1::-1]
    points = face.landmarks @ face.crop.matrix[:, :2].T + face.crop.matrix[:, 2]
    regions = region_map((points * to_heat).astype(np.float32), heat.shape)
    shares, area = (region_shares(m[None], regions[None])[0] for m in (heat, np.ones_like(heat)))
    return reason(target, face.scores[target], shares, area)


def describe(faces: list[Face], index: int, why: str | None, method: str) -> str:
    """How many faces, what the chosen one shows, and why."""
    face = faces[index]
    which = "One face" if len(faces) == 1 else f"Face {index + 1} of {len(faces)}"
    if face.is_clear:
        text = f"**{which}: {face.emotion}, {face.score:.0%}.**"
    else:
        text = f"**{which}: no clear emotion** (the highest score, {face.emotion}, is only {face.score:.0%})."
    if why is not None:
        text += f" Bright colours show the evidence ({method}): {why}."
    return text


def close_up_html(face: Face, heat: NDArray[np.float32] | None, target: str) -> str:
    """The crop as the network gets it beside its heat map, with the colour scale."""
    crop = cv2.resize(face.crop.image, (CLOSE_UP_SIDE, CLOSE_UP_SIDE), interpolation=cv2.INTER_CUBIC)
    pictures = [image_html(crop, "aligned face", "crop-out")]
    if heat is not None:
        pictures.append(image_html(overlay_heat(crop, heat), f"evidence for {target}", "heat-out"))
    cells = "".join(f'<div style="flex:1">{picture}</div>' for picture in pictures)
    scale = ""
    if heat is not None:
        ramp = color_map(np.linspace(0, 1, 256, dtype=np.float32)[None].repeat(8, 0), next(iter(COLOR_MAPS)))
        bar = f'<div style="flex:1;line-height:0">{image_html(ramp, "colour scale", "scale-out")}</div>'
        row = "display:flex;gap:8px;align-items:center;font-size:.8rem"
        scale = f'<div style="{row}"><span>none</span>{bar}<span>most</span></div>'
    return f'<div style="display:flex;gap:8px">{cells}</div>{scale}'
