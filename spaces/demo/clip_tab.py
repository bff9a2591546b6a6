"""The clip tab: a short clip in; the annotated clip, linked with its scores over time, a summary, and files out."""

import base64
import html
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd
from clip_example import EXAMPLE, ExampleAnswer, about
from clip_story import lasting_people, name_unclear, story_html
from gradio.data_classes import FileData
from photo import Uploaded, told
from server.uploads import NotAnUploadError, Uploads

from gimefive_hf import ExpressionRecognizer
from gimefive_hf.explain import METHODS
from gimefive_hf.video.analysis import VideoSummary, annotate_video

MAX_SECONDS = 30
NO_HEAT_MAP = "none"
OF_EXAMPLE = (EXAMPLE.name, EXAMPLE)
# Heat map, analyse every so many-th frame, landmarks.
AT_FIRST = (NO_HEAT_MAP, 2, False)
# Fast enough to be made for every frame of a clip.
FAST_METHODS = [name for name in METHODS if name in ("grad-cam", "activations", "layer-cam", "grad-cam++")]
# The page keeps the clip, and sends it anew with each analysis: nothing stays on the server between them.
SEND_CLIP = "(_, __, ...settings) => window.gimefive.sendClip(settings)"
USE_EXAMPLE = "(...settings) => window.gimefive.useExampleClip(settings)"
CHOOSER = f"""<label class="chooser"><input type="file" id="clip-file" accept="video/*,.mkv,.avi,.webm">
<span><b>Choose a clip</b>, or drop it here</span>
<small>The first {MAX_SECONDS} seconds are taken, up to 20 MB.</small></label>
<video id="clip-in" controls muted playsinline hidden></video><p id="clip-name" class="note" role="status"></p>"""


class Clip(gr.Video, Uploaded):
    """A video input whose function gets (name, path) of the upload as it came, or None; the function drops it."""

    @told
    def preprocess(self, payload: FileData | None) -> tuple[str, Path] | None:
        if payload is None:
            return None
        if not self.uploads.is_claimed(payload.path):
            raise NotAnUploadError
        return payload.orig_name or "clip", Path(payload.path)


def build(fer: ExpressionRecognizer, uploads: Uploads) -> ExampleAnswer:
    """Lay out the tab and connect it to `fer`; to be called inside a `gr.Tab`. Returns what it opens with."""
    with gr.Column(elem_id="clip-page"):
        with gr.Column(elem_id="clip-input", min_width=0):
            gr.HTML(CHOOSER, elem_id="clip-chooser", padding=False)
            clip = Clip(elem_classes="unseen", label="clip").kept_in(uploads)
            shown = gr.Textbox(elem_classes="unseen", label="example clip")
            with gr.Row():
                start = gr.Button("Analyse", variant="primary", elem_id="clip-start")
                example = gr.Button("Example clip", elem_id="clip-example")
            with gr.Accordion("Settings", open=False):
                method = gr.Dropdown([*FAST_METHODS, NO_HEAT_MAP], value=AT_FIRST[0], label="Heat map")
                every = gr.Slider(1, 10, value=AT_FIRST[1], step=1, label="Analyse every … frame")
                landmarks = gr.Checkbox(AT_FIRST[2], label="68 landmarks", elem_id="clip-landmarks")
            gr.HTML(
                '<p class="note">Deleted from the server as soon as it is analysed; only this page keeps the clip.</p>',
                padding=False,
            )
        with gr.Column(elem_id="clip-result", min_width=0):
            status = gr.HTML(
                '<p class="status">Choose a clip, or the example.</p>', elem_id="clip-status", padding=False
            )
            result = gr.HTML(elem_id="clip-annotated", padding=False)

    def show(clip: tuple[str, Path], settings: tuple, progress: Any) -> tuple[str, str]:
        try:
            video, table, summary = analyse(fer, uploads, clip, *settings, progress)
        except ValueError as error:
            return f'<p class="status problem">{html.escape(str(error))}</p>', ""
        note = f'<p class="note">{html.escape(about(table))}</p>' if clip == OF_EXAMPLE else ""
        said = describe(summary, len(lasting_people(table))) + note
        return said, video_html(video) + story_html(table, fer.emotions) + links_html(video, table)

    def run(upload, which, method_name, step, landmarks_on, progress=gr.Progress()):  # noqa: B008 (Gradio's way)
        if upload is None and which == "example":
            return run_example(method_name, step, landmarks_on, progress)
        if upload is None:
            return '<p class="status problem">Choose a clip first.</p>', ""
        return show(upload, (method_name, step, landmarks_on), progress)

    def run_example(method_name, step, landmarks_on, progress=gr.Progress()):  # noqa: B008 (Gradio's way)
        chosen = (method_name, step, landmarks_on)
        return first.get(progress) if chosen == AT_FIRST else show(OF_EXAMPLE, chosen, progress)

    first = ExampleAnswer(lambda progress: show(OF_EXAMPLE, AT_FIRST, progress))

    settings, outputs = [method, every, landmarks], [status, result]
    options: dict[str, Any] = {"api_visibility": "private", "show_progress_on": [status]}
    options |= {"concurrency_limit": 1, "concurrency_id": "video"}
    start.click(run, [clip, shown, *settings], outputs, js=SEND_CLIP, **options)
    example.click(run_example, settings, outputs, js=USE_EXAMPLE, **options)
    return first


def analyse(
    fer: ExpressionRecognizer,
    uploads: Uploads,
    clip: tuple[str, Path],
    method: str = NO_HEAT_MAP,
    every: float = 1,
    landmarks: bool = False,
    progress: Callable[..., Any] | None = None,
    annotate: bool = True,
) -> tuple[bytes, pd.DataFrame, VideoSummary]:
    """
    The annotated clip (mp4) and its timeline; upload and results are gone from the disk when it returns.

    Ends early when nobody waits. Raises ValueError that names the file as its sender did.
    """
    name, path = clip
    gone = (lambda: False) if clip == OF_EXAMPLE else (lambda: not uploads.holds(str(path)))
    try:
        if not 1 <= (every or 0) <= 100:
            raise ValueError(f"expected `every` from 1 to 100; got {every}")
        with tempfile.TemporaryDirectory(dir=uploads.folder) as place:
            video, table = Path(place) / "annotated.mp4", Path(place) / "timeline.csv"
            summary = annotate_video(
                fer,
                path,
                video if annotate else None,
                table,
                explain=None if method == NO_HEAT_MAP else method,
                landmarks=landmarks,
                every=int(every),
                max_seconds=MAX_SECONDS,
                stop=gone,
                progress=teller(progress),
            )
            rows = name_unclear(pd.read_csv(table), fer.predictor.threshold)
            return video.read_bytes() if annotate else b"", rows, summary
    except ValueError as error:
        raise ValueError(str(error).replace(path.name, name, 1)) from None
    finally:
        uploads.drop(str(path))  # no file but an upload


def teller(progress: Callable[..., Any] | None) -> Callable[[int, int | None], None]:
    """Says how far an analysis is and how long it will still take."""
    start = time.monotonic()

    def tell(done: int, total: int | None) -> None:
        if progress is not None and total:
            left = (time.monotonic() - start) * (total - done) / max(done, 1)
            text = f"about {left:.0f} s left" if done > 5 and left >= 1 else "analysing"
            progress((done, max(done, total)), desc=text, unit="frames")

    return tell


def describe(summary: VideoSummary, people: int) -> str:
    """What was found, in a sentence or two; `people` were seen for a while."""
    persons = "One person" if people == 1 else f"{people} persons"
    if not people:
        return f'<p class="status">No face found in {summary.analysed} frames.</p>'
    text = f"{persons} in {summary.analysed} analysed frames of {summary.frames}."
    if summary.without_face:
        text += f" {summary.without_face} frames show no face."
    if summary.broken:
        text += f" {summary.broken} frames are broken and were passed over."
    if summary.is_cut:
        text += f" The file seems cut: it promises {summary.announced} frames."
    if summary.stopped:
        text += f" Only the first {MAX_SECONDS} seconds were taken."
    return f'<p class="status">{text}</p>'


def data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def video_html(video: bytes) -> str:
    """A player that carries its clip, so that the server need not keep a file for it."""
    return (
        '<video id="clip-out" controls autoplay muted loop playsinline aria-label="The annotated clip" '
        f'src="{data_url("video/mp4", video)}"></video>'
    )


def links_html(video: bytes, table: pd.DataFrame) -> str:
    """Both results to take away; the page's script lends the player's clip to the first link."""
    buffer = io.StringIO()
    table.to_csv(buffer, index=False)
    return (
        '<p class="links"><a id="clip-video" download="gimefive.mp4" href="#" data-of="clip-out">⬇ annotated clip</a> '
        f'<a id="clip-table" download="gimefive.csv" href="{data_url("text/csv", buffer.getvalue().encode())}">'
        "⬇ table (CSV)</a></p>"
    )
