"""The demo's server: a page behind its gate, with a place for uploads that ends with it."""

import asyncio
import contextlib
import ctypes
import itertools
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi.concurrency import run_in_threadpool
from starlette.middleware import Middleware

from .gate import MAX_UPLOAD, Gate, living_events
from .hosts import Hosts
from .sessions import Sessions, UnreadAnswers
from .uploads import Uploads

SWEEP_SECONDS = 0.5
TRIM_EVERY = 20  # sweeps
MAX_WAITING = 32


def open_place() -> Uploads:
    """A private folder for uploads under GRADIO_TEMP_DIR or the system's own; Gradio writes into it too."""
    uploads = Uploads(Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir()))
    os.environ["GRADIO_TEMP_DIR"] = str(uploads.folder)
    return uploads


def serve(
    page: gr.Blocks,
    uploads: Uploads,
    host: str = "127.0.0.1",
    port: int | None = None,
    allowed: Iterable[str] = (),
    **options: Any,
) -> str:
    """Start serving in the background and return the address; `options` are those of Gradio's `launch`."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        task = asyncio.create_task(keep_clean(uploads, page))
        yield
        task.cancel()
        uploads.close()

    page.queue(max_size=MAX_WAITING, default_concurrency_limit=1)
    gate = Middleware(Gate, uploads=uploads, hosts=Hosts(host, allowed), blocks=page)
    app, url, _ = page.launch(
        server_name=host,
        server_port=port,
        max_file_size=MAX_UPLOAD,
        app_kwargs={"middleware": [gate], "lifespan": lifespan},
        show_error=False,  # of our own errors the texts are told all the same; of others nothing
        run_history=False,
        ssr_mode=False,
        enable_monitoring=False,
        prevent_thread_lock=True,
        **options,
    )
    app.state_holder = Sessions()
    app.state_holder.set_blocks(page)
    return url


async def keep_clean(uploads: Uploads, page: gr.Blocks) -> None:
    """Delete, again and again, what belongs to requests that have ended."""
    unread = UnreadAnswers(page._queue)
    for tick in itertools.count():
        await asyncio.sleep(SWEEP_SECONDS)
        if tick % TRIM_EVERY == 0:
            await run_in_threadpool(give_memory_back)
        alive = living_events(page)
        unread.sweep(alive)
        await run_in_threadpool(uploads.drop_all, uploads.overdue(alive))


def give_memory_back() -> None:
    """What the C library holds after large photos; it would keep it, spread over its arenas."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library than GNU's
            ctypes.CDLL(None).malloc_trim(0)
