"""The video tab: a short clip in; the annotated clip, the scores over time and their table out."""

import base64
import html
import io
import tempfile
from pathlib import Path
from typing import Self

import gradio as gr
import pandas as pd
from gradio.data_classes import FileData
from server.uploads import NotAnUploadError, Uploads

from gimefive_hf import ExpressionRecognizer
from gimefive_hf.explain import METHODS
from gimefive_hf.video.analysis import VideoSummary, annotate_video
from gimefive_hf.video.timeline import timeline_figure

MAX_SECONDS = 30
NO_HEAT_MAP = "none"
# Fast enough to be made for every frame of a clip.
FAST_METHODS = [name for name in METHODS if name in ("grad-cam", "cam", "activations", "layer-cam", "grad-cam++")]
EXAMPLE = Path(__file__).parent / "examples" / "moving_face.mp4"


class Clip(gr.Video):
    """A video input whose function gets (name, path) of the upload as it came, or None; the function drops it."""

    is_template = True  # in the browser it is the gr.Video it derives from

    uploads: Uploads

    def kept_in(self, uploads: Uploads) -> Self:
        """Name the ledger; no parameter, because Gradio reads a component's settings off its signature."""
        self.uploads = uploads
        return self

    def preprocess(self, payload: FileData | None) -> tuple[str, Path] | None:
        if payload is None:
            return None
        if not self.uploads.is_claimed(payload.path):
            raise gr.Error(str(NotAnUploadError()), print_exception=False)
        return payload.orig_name or "clip", Path(payload.path)


def build(fer: ExpressionRecognizer, uploads: Uploads) -> None:
    """Lay out the tab and connect it to `fer`; to be called inside a `gr.Tab`."""
    with gr.Row():
        with gr.Column(min_width=300):
            clip = Clip(sources=["upload", "webcam"], label="Clip", elem_id="clip", height=320).kept_in(uploads)
            gr.Markdown(
                f"Up to {MAX_SECONDS} seconds are taken, of any common format. The clip is deleted when it has been "
                "processed; upload it again to try other settings."
            )
            with gr.Row():
                method = gr.Dropdown([*FAST_METHODS, NO_HEAT_MAP], value="grad-cam", label="Heat map", min_width=140)
                every = gr.Slider(1, 10, value=1, step=1, label="Analyse every … frame", min_width=140)
            landmarks = gr.Checkbox(True, label="68 landmarks", elem_id="clip-landmarks")
            with gr.Row():
                start = gr.Button("Analyse", variant="primary", elem_id="clip-start")
                example = gr.Button("Use the example clip", elem_id="clip-example")
        with gr.Column(min_width=300):
            status = gr.Markdown("Upload or record a clip.", elem_id="clip-status")
            annotated = gr.HTML(elem_id="clip-annotated")
            files = gr.HTML(elem_id="clip-files")
    chart = gr.Plot(label="Scores over time", elem_id="clip-chart", visible=False)

    def show(name: str, path: Path, method_name, step, landmarks_on, progress):
        try:
            video, table, summary = analyse(fer, path, method_name, int(step), landmarks_on, progress)
        except ValueError as error:
            message = str(error).replace(path.name, name, 1)
            return f"⚠️ {html.escape(message)}", "", "", gr.update(visible=False)
        figure = timeline_figure(pd.read_csv(io.BytesIO(table)), fer.emotions)
        return describe(summary), video_html(video), links_html(video, table), gr.update(value=figure, visible=True)

    def run(upload, method_name, step, landmarks_on, progress=gr.Progress()):  # noqa: B008 (Gradio's way)
        if upload is None:
            return "⚠️ Upload or record a clip first.", "", "", gr.update(visible=False)
        name, path = upload
        try:
            return show(name, path, method_name, step, landmarks_on, progress)
        finally:
            uploads.drop(str(path))

    def run_example(method_name, step, landmarks_on, progress=gr.Progress()):  # noqa: B008 (Gradio's way)
        return show(EXAMPLE.name, EXAMPLE, method_name, step, landmarks_on, progress)

    settings, outputs = [method, every, landmarks], [status, annotated, files, chart]
    options = {"api_visibility": "private", "concurrency_limit": 1, "concurrency_id": "video"}
    start.click(run, [clip, *settings], outputs, **options)
    example.click(run_example, settings, outputs, **options)

    def predict(upload, every_nth: float = 1) -> dict:
        """Timeline of a clip as a list of rows (see the table's columns), and what became of its frames."""
        if upload is None:
            raise gr.Error("expected a video", print_exception=False)
        name, path = upload
        try:
            _, table, summary = analyse(fer, path, NO_HEAT_MAP, int(every_nth), False, None, annotate=False)
        except ValueError as error:
            raise gr.Error(str(error).replace(path.name, name, 1), print_exception=False) from None
        finally:
            uploads.drop(str(path))
        # pandas writes None where a cell is empty
        rows = pd.read_csv(io.BytesIO(table)).astype(object)
        return {
            "rows": rows.where(rows.notna(), None).to_dict("records"),
            "frames": summary.frames,
            "broken": summary.broken,
            "without_face": summary.without_face,
            "persons": summary.persons,
        }

    hidden = gr.Button(visible=False)
    result = gr.JSON(visible=False)
    hidden.click(predict, [clip, every], result, api_name="predict_video", concurrency_limit=1, concurrency_id="video")


def analyse(
    fer: ExpressionRecognizer,
    path: Path,
    method: str,
    every: int,
    landmarks: bool,
    progress: gr.Progress | None,
    annotate: bool = True,
) -> tuple[bytes, bytes, VideoSummary]:
    """The annotated clip (mp4) and its timeline (CSV) as bytes; the files are gone when it returns."""

    def show_progress(done: int, total: int | None) -> None:
        if progress is not None:
            progress((done, max(done, total or done)), desc="frames", unit="frames")

    with tempfile.TemporaryDirectory() as place:
        video, table = Path(place) / "annotated.mp4", Path(place) / "timeline.csv"
        summary = annotate_video(
            fer,
            path,
            video if annotate else None,
            table,
            explain=None if method == NO_HEAT_MAP else method,
            landmarks=landmarks,
            every=every,
            max_seconds=MAX_SECONDS,
            progress=show_progress,
        )
        return video.read_bytes() if annotate else b"", table.read_bytes(), summary


def describe(summary: VideoSummary) -> str:
    """What was found, in a sentence or two."""
    persons = "One person" if summary.persons == 1 else f"{summary.persons} persons"
    if not summary.persons:
        return f"No face found in {summary.analysed} frames."
    text = f"**{persons} in {summary.analysed} analysed frames** of {summary.frames}."
    if summary.without_face:
        text += f" {summary.without_face} frames show no face."
    if summary.broken:
        text += f" {summary.broken} frames are broken and were passed over."
    if summary.stopped:
        text += f" Only the first {MAX_SECONDS} seconds were taken."
    return text


def data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def video_html(video: bytes) -> str:
    """A player that carries its clip, so that the server need not keep a file for it."""
    return (
        '<video id="clip-out" controls autoplay muted loop playsinline style="width:100%;border-radius:8px" '
        f'src="{data_url("video/mp4", video)}"></video>'
    )


def links_html(video: bytes, table: bytes) -> str:
    """Both results to download."""
    return (
        f'<a id="clip-video" download="gimefive.mp4" href="{data_url("video/mp4", video)}">⬇ annotated video</a> · '
        f'<a id="clip-table" download="gimefive.csv" href="{data_url("text/csv", table)}">⬇ table (CSV)</a>'
    )
