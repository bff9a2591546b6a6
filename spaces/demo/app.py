"""
The GiMeFive Space: a photo in, six scores a face with their evidence out.

    gimefive demo            # or: python spaces/demo/app.py
"""

import os
import signal
from collections.abc import Iterable

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
import image_tab
import video_tab
import webcam_tab
from server.serve import open_place, serve
from server.uploads import Uploads

from gimefive_hf import ExpressionRecognizer, from_pretrained
from gimefive_hf.runtimes.backends import has_bf16

INTRO = """
# GiMeFive
Which of six expressions a face shows, how sure the network is, and where it looked.
"""

NOTE = """
**Read the scores with care.** They describe an *expression*, the way a face looks in one picture, and how often people
gave such pictures that name. They do not tell what someone feels: people smile without joy and grieve without tears,
and the situation decides what a face means. There are only six categories here, and neutral is none of them.
Photos are processed in memory and deleted after the request.
"""

CSS = """
.gradio-container { max-width: 1100px !important; margin: 0 auto !important; }
#note { font-size: 0.9rem; opacity: 0.9; }
"""


def build(uploads: Uploads, model: str = "gimefive") -> gr.Blocks:
    """The page with its tabs, around one recogniser for photos and a faster one for moving pictures, where there is."""
    fer = ExpressionRecognizer.from_pretrained(model)
    fast = from_pretrained(model, precision="bf16") if has_bf16() else fer
    with gr.Blocks(title="GiMeFive", analytics_enabled=False) as page:
        gr.Markdown(INTRO)
        with gr.Tabs():
            with gr.Tab("Image", id="image"):
                image_tab.build(fer, uploads)
            with gr.Tab("Video", id="video"):
                video_tab.build(fast, uploads)
            with gr.Tab("Webcam", id="webcam"):
                webcam_tab.build(fast, uploads)
        gr.Markdown(NOTE, elem_id="note")
    return page


def launch(
    model: str = "gimefive",
    host: str = "127.0.0.1",
    port: int | None = 7860,
    open_browser: bool = False,
    allowed: Iterable[str] = (),
    block: bool = True,
) -> str:
    """Build the page and serve it until interrupted, or with `block` off in the background; returns its address."""
    uploads = open_place()
    page = build(uploads, model)
    url = serve(page, uploads, host, port, allowed, inbrowser=open_browser, theme=gr.themes.Soft(), css=CSS)
    if block:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: uploads are deleted
        page.block_thread()
    return url


if __name__ == "__main__":
    launch(
        host=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), port=int(os.environ.get("GRADIO_SERVER_PORT", "7860"))
    )
