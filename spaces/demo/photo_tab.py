"""The photo tab: a worked example to begin with; then the visitor's own photo, face by face, with its reasons."""

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import gradio as gr
import numpy as np
from examples import BY_NAME, EXAMPLES, FOLDER, note_on, read_example
from numpy.typing import NDArray
from photo import Photo, decode_data_url, shrink, to_data_url, told
from server.uploads import Uploads
from stage import stage_html
from take_away import card_picture
from why import AUTOMATIC, method_for, offered, reason, why_html
from words import read_reliability

from cards import cards_html
from gimefive_hf import EMOTIONS, ExpressionRecognizer, Face, load_image
from gimefive_hf.explain import explain

# Faces with a card of their own; a crowd's others have their score in the list.
MAX_CARDS = 8
NEUTRAL = "neutral"
SOURCES: list = ["upload", "clipboard", "webcam"]
CHOSEN_EXAMPLE = "(name, ...settings) => [window.gimefive.example, ...settings]"
SAVE_CARD = "() => window.gimefive.saveCard()"
SAVE_SCORES = "() => window.gimefive.saveScores()"
CHOSEN_FACE = "() => window.gimefive.face"
# An upload can be named once. Whatever is asked while it is on its way waits until the page holds the photo itself.
HELD_PHOTO = "(...values) => window.gimefive.heldPhoto(values)"
HELD_FACE = "(...values) => window.gimefive.heldPhoto(values, 2)"  # the chosen face comes third
NO_FACE = "none"
# On a phone, where the result stands between.
JUMP = '<a class="jump" href="#input-area">Your own photo ↓</a>'
KEPT = "Deleted from the server as soon as it is answered; only this page keeps it."


@dataclass(frozen=True)
class Settings:
    """What a visitor may change about an answer."""

    crops: bool = False
    six: bool = False
    method: str = AUTOMATIC


class Analyst:
    """A recogniser and what is known of its model: everything that the tab's events compute with."""

    def __init__(self, fer: ExpressionRecognizer, model: str) -> None:
        self.fer, self.model = fer, model
        self.bins = read_reliability(model)
        self.example = lru_cache(maxsize=2 * len(EXAMPLES))(self._example)

    def faces(self, image: NDArray[np.uint8], settings: Settings) -> list[Face]:
        """The faces, largest first, among the paper's six expressions if that is asked for."""
        faces = self.fer(image, crops=settings.crops)
        return [only_six(face) for face in faces] if settings.six else faces

    def heats(self, faces: Sequence[Face], method: str) -> list[NDArray[np.float32]]:
        if not faces:
            return []
        pixels = self.fer.pixel_values([face.crop.image for face in faces])
        return list(explain(self.fer.model, pixels, method, [face.emotion for face in faces]))

    def answer(self, image: NDArray[np.uint8], settings: Settings, example: str = "") -> tuple[str, str]:
        """Stage and cards of a photo as HTML."""
        faces = self.faces(image, settings)
        heats = self.heats(faces[:MAX_CARDS], method_for(settings.method, len(faces)))
        note = html.escape(note_on(BY_NAME[example], faces)) if example else ""
        return stage_html(image, faces, note, example), cards_html(image, faces, heats, self.bins)

    def chosen(self, image: NDArray[np.uint8], settings: Settings, number: int) -> tuple[Face, NDArray, str] | None:
        """The face of that number, from 0, its heat map and the map's method; None where there is no such face."""
        faces = self.faces(image, settings)
        if not 0 <= number < min(len(faces), MAX_CARDS):
            return None
        method = method_for(settings.method, len(faces))
        return faces[number], *self.heats([faces[number]], method), method

    def why(self, image: NDArray[np.uint8], settings: Settings, number: int) -> str:
        """The reasons of the chosen face as HTML; nothing where there is no such face."""
        found = self.chosen(image, settings, number)
        return why_html(self.fer, image, *found, self.model) if found else ""

    def card(self, image: NDArray[np.uint8], settings: Settings, number: int) -> bytes:
        """The chosen face's result as a PNG for slides. Raises ValueError where there is no such face."""
        found = self.chosen(image, settings, number)
        if found is None:
            raise ValueError("There is no face to make a card of.")
        face, heat, _ = found
        buffer = io.BytesIO()
        card_picture(image, face, heat, self.model, reason(face, heat)).save(buffer, "PNG")
        return buffer.getvalue()

    def _example(self, name: str, settings: Settings) -> tuple[str, str, str]:
        """Stage, cards and reasons of an example."""
        image = read_example(name)
        return *self.answer(image, settings, name), self.why(image, settings, 0)


def only_six(face: Face) -> Face:
    """The same face among the paper's six expressions: what the others hold is shared out in proportion."""
    kept = {name: score for name, score in face.scores.items() if name in EMOTIONS and name != NEUTRAL}
    total = sum(kept.values())
    return replace(face, scores={name: score / total for name, score in kept.items()})


def build(analyst: Analyst, uploads: Uploads) -> None:
    """Lay out the tab and connect it; to be called inside a `gr.Tab`."""
    first = EXAMPLES[0].name
    stage_now, cards_now, why_now = analyst.example(first, Settings())
    has_neutral = NEUTRAL in analyst.fer.emotions
    with gr.Column(elem_id="photo-page"):
        with gr.Column(elem_id="stage-area", min_width=0):
            stage = gr.HTML(stage_now, elem_id="stage", padding=False)
            gr.HTML(JUMP, elem_id="jump", padding=False)
        with gr.Column(elem_id="card-area", min_width=0):
            cards = gr.HTML(cards_now, elem_id="cards", padding=False)
            why = gr.HTML(why_now, elem_id="why", padding=False)
            with gr.Row(elem_id="take-away"):
                card = gr.Button("⬇ Card for slides (PNG)", size="sm", elem_id="card-png")
                gr.Button("⬇ Scores of all faces (CSV)", size="sm", elem_id="scores-csv").click(None, js=SAVE_SCORES)
            picture = gr.HTML(elem_id="card-picture", elem_classes="unseen")
        with gr.Column(elem_id="input-area", min_width=0):
            photo = Photo(sources=SOURCES, type="filepath", label="Your photo", elem_id="photo", height=200)
            photo.kept_in(uploads)
            gr.HTML(f'<p class="note camera-note" role="status"></p><p class="note">{KEPT}</p>', padding=False)
            gr.HTML(gallery_html(), elem_id="gallery", padding=False)
            with gr.Accordion("Settings", open=False, elem_id="settings"):
                crops = gr.Checkbox(label="The picture is one face, already cropped", elem_id="is-crop")
                six = gr.Checkbox(label="Only the paper's six expressions", elem_id="six", visible=has_neutral)
                method = gr.Dropdown(offered(analyst.model), value=AUTOMATIC, label="Heat map", elem_id="method")
    example = gr.Textbox(first, elem_classes="unseen", label="example")
    chosen = gr.Textbox("0", elem_classes="unseen", label="chosen face")
    settings = [crops, six, method]
    connect(analyst, photo, settings, example, chosen, [stage, cards, why])
    connect_card(analyst, card, [photo, example, chosen, *settings], picture)


def connect(analyst: Analyst, photo: Photo, settings: list, example: gr.Textbox, chosen: gr.Textbox, out: list) -> None:
    """The tab's events. The browser holds the photo as a data URL and sends it along each time."""
    stage, cards, why = out

    def take(upload, name, *values):
        """A new photo, or none. What is analysed is what the page holds from now on, so that all answers agree."""
        try:
            held = None if upload is None else to_data_url(shrink(read(upload)))
        except ValueError as error:
            return None, problem_html(error), "", "", NO_FACE
        return held, *again(held and (upload[0], decode_data_url(held)), name, *values)

    def again(upload, name, *values):
        """The photo that the page holds, or the example where it holds none."""
        if upload is None:
            return *analyst.example(example_name(name), Settings(*values)), "0"
        try:
            return *analyst.answer(shrink(read(upload)), Settings(*values)), "", "0"
        except ValueError as error:
            return problem_html(error), "", "", NO_FACE

    def explain_chosen(upload, name, number, *values):
        index = face_number(number)
        if index < 0:
            return ""  # the stage says what is wrong
        if upload is None and index == 0:
            return analyst.example(example_name(name), Settings(*values))[2]
        try:
            return analyst.why(picture(upload, name), Settings(*values), index)
        except ValueError:
            return ""

    def show_example(name, *values):
        name = example_name(name)
        return None, *analyst.example(name, Settings(*values)), "0", name

    # Who goes on while an answer is computed gets that of the last choice.
    private = {"api_visibility": "private", "show_progress": "minimal", "trigger_mode": "always_last"}
    reasons = {"fn": explain_chosen, "inputs": [photo, example, chosen, *settings], "outputs": why, "js": HELD_FACE}
    everything = [photo, stage, cards, why, chosen]
    changed = gr.on([photo.input, photo.clear], take, [photo, example, *settings], everything, **private)
    changed.then(**reasons, **private)
    for control in settings:
        again_now = control.input(again, [photo, example, *settings], everything[1:], js=HELD_PHOTO, **private)
        again_now.then(**reasons, **private)
    # The page's own buttons press these, and its script puts in what was chosen.
    other = gr.Button(elem_id="show-example", elem_classes="unseen")
    shown = [*everything, example]
    other.click(show_example, [example, *settings], shown, js=CHOSEN_EXAMPLE, cancels=[changed], **private)
    face = gr.Button(elem_id="show-face", elem_classes="unseen")
    face.click(lambda number: number, chosen, chosen, js=CHOSEN_FACE, **private).then(**reasons, **private)


def connect_card(analyst: Analyst, button: gr.Button, inputs: list, picture: gr.HTML) -> None:
    """The button that makes the picture for slides, which the page's script then saves."""

    @told
    def draw(upload, name, number, *values):
        card = analyst.card(picture(upload, name), Settings(*values), face_number(number))
        data = base64.b64encode(card).decode()
        return f'<a download="gimefive-card.png" href="data:image/png;base64,{data}">card</a>'

    button.click(draw, inputs, picture, js=HELD_FACE, api_visibility="private").success(None, js=SAVE_CARD)


def picture(upload: tuple[str, bytes] | None, name: object) -> NDArray[np.uint8]:
    """The photo that the page holds, or the example. Raises ValueError for a broken one."""
    return read_example(example_name(name)) if upload is None else read(upload)


def face_number(text: object) -> int:
    """The page's word for which face, from 0; -1 for none."""
    return int(text) if isinstance(text, str) and text.isdecimal() and len(text) < 4 else -1


def example_name(name: object) -> str:
    return name if isinstance(name, str) and name in BY_NAME else EXAMPLES[0].name


def read(upload: tuple[str, bytes]) -> NDArray[np.uint8]:
    """Decode an upload. Raises ValueError that names the file."""
    name, data = upload
    try:
        return load_image(data)
    except ValueError as error:
        # load_image knows bytes only as "image"
        raise ValueError(str(error).replace("image:", f"{name}:", 1)) from None


def problem_html(error: ValueError) -> str:
    return f'<p id="status-line" class="status problem">{html.escape(str(error))}</p>'


def gallery_html() -> str:
    """Thumbnails of the examples as buttons; a link to each stands in the address bar when it is shown."""
    buttons = []
    for example in EXAMPLES:
        small = shrink(load_image(FOLDER / example.file), 240)
        picture = f'<img src="{to_data_url(small, 75)}" alt=""><span>{html.escape(example.title)}</span>'
        buttons.append(f'<button type="button" class="thumb" data-example="{example.name}">{picture}</button>')
    return f'<h3>Examples</h3><div class="thumbs">{"".join(buttons)}</div>'
