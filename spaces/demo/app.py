"""
The GiMeFive Space: a photo in, six scores a face with their evidence out.

    gimefive demo            # or: python spaces/demo/app.py
"""

import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import clip_tab
import endpoints
import gradio as gr
import photo_tab
import webcam_tab
from photo_tab import Analyst
from server.serve import open_place, serve
from server.uploads import Uploads

import gimefive_hf
from gimefive_hf import ExpressionRecognizer, from_pretrained
from gimefive_hf.runtimes.backends import has_bf16

HERE = Path(__file__).parent
CHECKPOINTS = Path(gimefive_hf.__file__).parent / "checkpoints"

# The visitor's own, as on the live page.
FONT = ["system-ui", "-apple-system", "Segoe UI", "sans-serif"]

INTRO = """<h1>GiMeFive</h1><p>Which expression does a face show, how sure is the network, and why?</p>"""

NOTE = """
**Read the scores with care.** They describe an *expression*, the way a face looks in one picture, and how often people
gave such pictures that name. They do not tell what someone feels: people smile without joy and grieve without tears,
and the situation decides what a face means. Not for decisions about people.
"""


def default_model() -> str:
    """The model that knows neutral faces, where it is in the package."""
    return "gimefive-7" if (CHECKPOINTS / "gimefive-7" / "model.safetensors").is_file() else "gimefive"


def build(uploads: Uploads, model: str, ahead: bool = False) -> gr.Blocks:
    """
    The page with its tabs, around one recogniser for photos and a faster one for moving pictures, where there is.

    With `ahead` the example clip's answer is computed in the background, before the first visitor asks for it.
    """
    fer = ExpressionRecognizer.from_pretrained(model)
    fast = from_pretrained(model, precision="bf16") if has_bf16() else fer
    analyst = Analyst(fer, model)
    with gr.Blocks(title="GiMeFive: expressions, and why", analytics_enabled=False) as page:
        gr.HTML(INTRO, elem_id="intro", padding=False)
        with gr.Tabs():
            with gr.Tab("Photo", id="photo"):
                photo_tab.build(analyst, uploads)
            with gr.Tab("Clip", id="clip"):
                example = clip_tab.build(fast, uploads)
            with gr.Tab("Camera", id="camera"):
                webcam_tab.build(fast, uploads)
        gr.Markdown(NOTE, elem_id="note")
        endpoints.build(analyst, fast, uploads)
    if ahead:
        example.prepare()
    return page


def launch(
    model: str | None = None,
    host: str = "127.0.0.1",
    port: int | None = 7860,
    open_browser: bool = False,
    allowed: Iterable[str] = (),
    block: bool = True,
) -> str:
    """Build the page and serve it until interrupted, or with `block` off in the background; returns its address."""
    uploads = open_place()
    page = build(uploads, model or default_model(), ahead=block)
    url = serve(page, uploads, host, port, allowed, inbrowser=open_browser, **look())
    if block:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: uploads are deleted
        page.block_thread()
    return url


def look() -> dict[str, Any]:
    """Theme, style and script of the page."""
    script = (HERE / "page.js").read_text(encoding="utf-8")
    theme = gr.themes.Soft(font=FONT, font_mono=["ui-monospace", "monospace"])
    return {"theme": theme, "css_paths": HERE / "page.css", "head": f"<script>{script}</script>"}


if __name__ == "__main__":
    launch(
        host=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), port=int(os.environ.get("GRADIO_SERVER_PORT", "7860"))
    )
