"""One photo, all published models side by side."""

from pathlib import Path

import pandas as pd
import streamlit as st
from explorer_charts import LAYOUT, color_of
from plotly import graph_objects as go

import gimefive_hf

st.title("Try it")
st.markdown(
    "One photo, every model that is installed. The photo is scored on this server and not kept. Expressions are not "
    "feelings: the bars say which word annotators would choose for the picture."
)


@st.cache_resource(show_spinner="Loading the model …")
def load(folder: str):
    return gimefive_hf.ExpressionRecognizer.from_pretrained(folder)


checkpoints = sorted(p.parent for p in (Path(gimefive_hf.__file__).parent / "checkpoints").glob("*/model.safetensors"))
if not checkpoints:
    st.info("No checkpoint is installed in gimefive_hf/checkpoints, so there is no model to try.")
    st.stop()
upload = st.file_uploader("A photo with a face", type=["jpg", "jpeg", "png", "webp", "bmp"], key="photo")
as_crop = st.toggle("The picture is one face, already cropped", key="crop", bind="query-params")
if upload is None:
    st.info(f"Waiting for a photo. Models: {', '.join(p.name for p in checkpoints)}.")
    st.stop()
try:
    image = gimefive_hf.load_image(upload.getvalue())
    results = {p.name: load(str(p))(image, crops=as_crop, landmarks=False) for p in checkpoints}
except ValueError as error:
    st.error(str(error))
    st.stop()
left, right = st.columns([1, 2])
left.image(image)
faces = next(iter(results.values()))
if not faces:
    right.info("No face was found. If the picture is one face, cropped, switch that on above.")
    st.stop()
rows = []
for model, found in results.items():
    for number, face in enumerate(found, 1):
        rows += [[model, number, name, score, face.label] for name, score in face.scores.items()]
table = pd.DataFrame(rows, columns=["model", "face", "expression", "score", "answer"])
for number, part in table.groupby("face"):
    figure = go.Figure(layout=LAYOUT)
    for index, (model, bars) in enumerate(part.groupby("model", sort=False)):
        figure.add_bar(
            x=bars["expression"],
            y=bars["score"],
            name=f"{model}: {bars['answer'].iloc[0]}",
            marker_color=color_of(model, index),
        )
    figure.update_layout(title=f"face {number} of {len(faces)}", barmode="group", showlegend=True)
    figure.update_yaxes(tickformat=".0%", range=[0, 1])
    right.plotly_chart(figure, key=f"face-{number}")
st.download_button("Scores (CSV)", table.to_csv(index=False), "scores.csv", "text/csv", key="csv-scores")
