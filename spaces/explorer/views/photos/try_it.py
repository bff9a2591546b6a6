"""One photo, all models of the package side by side."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import streamlit as st
from parts.charts import dot_plot
from parts.recognizers import load_recognizer, runtimes
from parts.sentences import ends
from parts.store import show_chart
from PIL import Image, ImageDraw, ImageFont

import gimefive_hf
from gimefive_hf import ExpressionRecognizer, Face
from gimefive_hf.recognizer import NO_CLEAR_EMOTION

MARK = (86, 180, 233)


def loaded_text(names: list[str]) -> str:
    """`gimefive on onnx in fp32, …` of models that are loaded."""
    predictors = {name: load_recognizer(name, models[name]).predictor for name in names}
    return ", ".join(f"{name} on {p.backend} in {p.precision}" for name, p in predictors.items())


def draw_boxes(image: np.ndarray, faces: list[Face]) -> Image.Image:
    """The photo with a numbered box around each face."""
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    width = max(2, min(image.shape[:2]) // 160)
    for number, face in enumerate(faces, 1):
        x, y, w, h = face.box
        draw.rectangle((x, y, x + w, y + h), outline=MARK, width=width)
        size = max(14, image.shape[1] // 26)  # read on a small copy of the photo too
        place = max(0, x), max(0, y - 1.3 * size)
        draw.rectangle((*place, place[0] + 0.5 * size * (1 + len(str(number))), place[1] + 1.25 * size), fill=MARK)
        draw.text((place[0] + 0.25 * size, place[1]), str(number), fill="black", font=ImageFont.load_default(size))
    return picture


def score_rows(name: str, recognizer: ExpressionRecognizer, faces: list[Face]) -> Iterator[list]:
    """What one model says of the faces that were found: model, face, expression, score, answer, clear."""
    scores = recognizer.score_crops([face.crop.image for face in faces])
    for number, row in enumerate(scores, 1):
        sure = float(row.max()) >= recognizer.predictor.threshold
        answer = recognizer.emotions[int(row.argmax())] if sure else NO_CLEAR_EMOTION
        yield from ([name, number, e, float(s), answer] for e, s in zip(recognizer.emotions, row, strict=True))


def show_scores(table: pd.DataFrame, found: int) -> None:
    """Per face what each model answers, and a dot per model and expression."""
    for number, part in table.groupby("face"):
        answers = part.groupby("model", sort=False)["answer"].first()
        st.markdown(f"**Face {number} of {found}.** " + "; ".join(f"{m}: **{a}**" for m, a in answers.items()))
        points = part.rename(columns={"score": "value"})
        chart = dot_plot(points, "expression", "model", f"face {number}: score of each expression")
        alt = ends(points, ["model", "expression"])
        note = f"Scores of one model add up to 100 %; one photo has no interval. {loaded_text(list(answers.index))}."
        show_chart(chart, part, f"face-{number}-{points['model'].nunique()}", note, alt)


def read_photo(content: bytes, as_crop: bool, names: dict[str, str]) -> tuple[np.ndarray, list[Face]]:
    """The photo and its faces, found once for all models. Raises ValueError for what is no photo."""
    image = gimefive_hf.load_image(content)
    first, backend = next(iter(names.items()))
    return image, load_recognizer(first, backend)(image, crops=as_crop, landmarks=False)


st.title("Try it")
st.markdown(
    "One photo, every model that is installed. The photo is scored on this server and not kept. Expressions are not "
    "feelings: the scores say which word annotators would choose for the picture."
)
models = runtimes()
if not models:
    st.info("No checkpoint is installed in gimefive_hf/checkpoints, so there is no model to try.")
    st.stop()
upload = st.file_uploader("A photo with a face", type=["jpg", "jpeg", "png", "webp", "bmp"], key="photo")
as_crop = st.toggle("The picture is one face, already cropped", key="crop", bind="query-params")
slot = st.empty()  # what stands in it gives way at once, where other elements fade until the run ends
if upload is None:
    slot.info(f"No photo yet. Models: {', '.join(models)}.")
    for name, backend in models.items():  # while the reader looks for a photo; torch would take the processor from it
        if backend == "onnx":
            load_recognizer(name, backend)
    st.stop()
try:
    with slot, st.spinner("Reading the photo …"):
        image, faces = read_photo(upload.getvalue(), as_crop, models)
except ValueError as error:
    slot.error(str(error))
    st.stop()
slot.empty()
left, right = st.columns([2, 3])
told = f"{len(faces)} {'face' if len(faces) == 1 else 'faces'} found" if not as_crop else "the picture is one face"
left.image(draw_boxes(image, [] if as_crop else faces), alt=f"the photo, {told}", caption=told)
if not faces:
    right.info("No face was found. If the picture is one face, cropped, switch that on above.")
    st.stop()
shown, rows = right.empty(), []
for backend in dict.fromkeys(models.values()):
    chosen = [name for name, runtime in models.items() if runtime == backend]
    with right, st.spinner(f"{', '.join(chosen)} …"):
        for name in chosen:
            rows += score_rows(name, load_recognizer(name, backend), faces)
    table = pd.DataFrame(rows, columns=["model", "face", "expression", "score", "answer"])
    with shown.container():
        show_scores(table, len(faces))
