"""The webcam tab: live boxes, bars and the last half minute as moving lines. Frames never touch the disk."""

import html
import time
from collections import deque
from dataclasses import dataclass, field

import gradio as gr
from clip_story import legend_html, path_of, svg
from photo import Photo, image_html
from server.uploads import Uploads
from stage import color_of

from gimefive_hf import ExpressionRecognizer, load_image
from gimefive_hf.faces.tracking import FaceTracker
from gimefive_hf.video.analysis import watch
from gimefive_hf.video.files import VideoFrame
from gimefive_hf.video.overlay import draw_people
from gimefive_hf.video.people import FrameResult, PersonBook

HISTORY_SECONDS = 30
# Points of the chart are this far apart: more could not be told apart on a screen, but would be sent with every frame.
HISTORY_STEP = 0.2
# Of the JPEG that goes back: half the bytes of a photo's, and the camera's own are no better.
QUALITY = 80
# The browser offers a frame this often; while one is being processed, newer frames replace the one that waits.
FRAME_EVERY = 0.06
SESSION_SECONDS = 600
BEGIN = "Allow the camera, then press Start below it. Nothing is recorded."
# The page's script says here what the camera lacks, or that the visitor waits for a place.
NOTE = '<p class="status camera-note" role="status"></p>'
ABOUT = (
    "Frames are looked at in memory and forgotten; nothing is recorded. Two visitors are served at a time, for ten "
    "minutes each at most. Here the server sees your frames; the reader that `make live` opens sends none, for it "
    "computes in your browser."
)


@dataclass
class Session:
    """What is remembered of one visitor while the camera runs: persons, and the first person's scores over time."""

    tracker: FaceTracker
    book: PersonBook
    started: float = field(default_factory=time.monotonic)
    history: deque[tuple[float, dict[str, float]]] = field(default_factory=deque)
    times: deque[float] = field(default_factory=lambda: deque(maxlen=30))
    frames: int = 0


def new_session(fer: ExpressionRecognizer) -> Session:
    return Session(FaceTracker(fer.detector, keep=2.0), PersonBook(fer.emotions, time_constant=0.3, hold=5))


def build(fer: ExpressionRecognizer, uploads: Uploads) -> None:
    """Lay out the tab and connect it to `fer`; to be called inside a `gr.Tab`."""
    held = gr.State(None, time_to_live=SESSION_SECONDS)
    with gr.Row():
        with gr.Column(min_width=300):
            camera = Photo(sources=["webcam"], streaming=True, label="Camera", elem_id="camera", height=360)
            camera.kept_in(uploads)
            with gr.Row():
                show_heat = gr.Checkbox(True, label="Heat map", elem_id="live-heat")
                show_landmarks = gr.Checkbox(False, label="68 landmarks", elem_id="live-landmarks")
        with gr.Column(min_width=300):
            gr.HTML(NOTE, elem_id="camera-note", padding=False)
            live = gr.HTML(f'<p class="begin">{BEGIN}</p>', elem_id="live")
    gr.Markdown(ABOUT)

    def step(upload, session: Session | None, heat_on: bool, landmarks_on: bool):
        if upload is None:
            return gr.skip(), session
        session = session or new_session(fer)
        try:
            image = load_image(upload[1])
        except ValueError as error:
            return html.escape(str(error)), session
        result = process(fer, session, image, heat_on, landmarks_on)
        picture = image_html(draw_people(image, result.people), "camera with faces marked", "live-out", QUALITY)
        return picture + chart_html(session) + speed_html(session), session

    camera.stream(
        step,
        [camera, held, show_heat, show_landmarks],
        [live, held],
        stream_every=FRAME_EVERY,
        time_limit=SESSION_SECONDS,
        concurrency_limit=2,
        show_progress="hidden",
        api_visibility="private",
    )


def process(fer: ExpressionRecognizer, session: Session, image, heat: bool, landmarks: bool) -> FrameResult:
    """Analyse the newest frame and remember the first person's scores."""
    now = time.monotonic()
    frame = VideoFrame(session.frames, now - session.started, image)
    session.frames += 1
    session.times.append(now)
    explain = "grad-cam" if heat else None
    options = {"explain": explain, "landmarks": landmarks, "batch_size": 1}
    [result] = watch(fer, [frame], tracker=session.tracker, book=session.book, **options)
    remember(session.history, frame.time, result.people[0].smoothed if result.people else None)
    return result


def remember(history: deque[tuple[float, dict[str, float]]], now: float, scores: dict[str, float] | None) -> None:
    """Add the scores of a moment, if there are any, and forget what is too old for the chart."""
    if scores is not None:
        if len(history) > 1 and history[-1][0] - history[-2][0] < HISTORY_STEP:
            history.pop()  # the newest point moves with time until it is a step away from the one before it
        history.append((now, scores))
    while history and history[0][0] < now - HISTORY_SECONDS:
        history.popleft()


def speed_html(session: Session) -> str:
    """Processed frames per second over the last thirty."""
    times = session.times
    rate = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else 0.0
    return (
        f'<div id="live-speed" data-frames="{session.frames}" data-rate="{rate:.1f}" '
        f'style="font-size:.8rem">{rate:.0f} frames/s</div>'
    )


def chart_html(session: Session) -> str:
    """The last half minute of the first person's smoothed scores as lines, the newest at the right."""
    if not session.history:
        return '<div id="live-chart">no face yet</div>'
    newest, names = session.history[-1][0], list(session.history[-1][1])
    times = [HISTORY_SECONDS - (newest - when) for when, _ in session.history]
    lines = []
    for name in names:
        path = path_of(times, [scores[name] for _, scores in session.history], HISTORY_SECONDS, gap=2)
        lines.append(f'<path style="--c:{color_of(name)}" d="{path}"/>')
    said = f"scores of the last {HISTORY_SECONDS} seconds"
    return f'{svg("".join(lines), said, "live-chart")}{legend_html(names)}<p class="hint">last {HISTORY_SECONDS} s</p>'
