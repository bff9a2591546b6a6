"""
The explorer's server: Streamlit's own, with its scripts and our store at hand before the first reader comes.

    gimefive explorer        # or: python spaces/explorer/serve.py --host 127.0.0.1 --port 8501

`streamlit run app.py` shows the same pages, but a second later: on the sockets that Streamlit 1.67 opens Nagle's
algorithm is on, so that each of a page's hundred files waits 40 ms for an acknowledgement.
"""

import argparse
import logging
import os
import threading
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import streamlit
import uvicorn
from parts.assets import AssetsFromMemory
from parts.recognizers import load_recognizers
from parts.store import load_store
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route
from streamlit.starlette import App

HERE = Path(__file__).parent
FIRST = "overview"
STATIC = Path(streamlit.__file__).parent / "static"
PAGES = ["/", *(f"/{path.stem}" for path in HERE.glob("views/*/[!_]*.py") if path.stem != FIRST)]


async def to_first_page(request: Request) -> RedirectResponse:
    """The first page stands at `/`; Streamlit says that there is none of its own name."""
    return RedirectResponse(f"./?{request.url.query}")  # behind a proxy only the reader knows the rest


def warm_up() -> None:
    """What the first reader would wait for: the store, then every network of the package."""
    # A page's spinner is nothing to warn of where there is no page.
    logging.getLogger("streamlit.runtime.scriptrunner_utils.script_run_context").setLevel(logging.ERROR)
    load_store()
    load_recognizers()


@asynccontextmanager
async def started(app: App, opened: str | None) -> AsyncIterator[None]:
    """Warms up beside the server, which answers meanwhile, and opens the browser."""
    threading.Thread(target=warm_up, daemon=True).start()
    if opened:
        threading.Timer(1, webbrowser.open, [opened]).start()
    yield


def make_app(opened: str | None = None) -> App:
    """`opened`: the address that a browser window should show."""
    assets = Middleware(AssetsFromMemory, static=STATIC, pages=PAGES)
    first = Route(f"/{FIRST}", to_first_page)
    return App(HERE / "app.py", routes=[first], middleware=[assets], lifespan=partial(started, opened=opened))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8501)
    parser.add_argument("--open", action="store_true", help="open a browser window")
    args = parser.parse_args()
    # For whom Streamlit takes the pages that may speak to it.
    os.environ |= {"STREAMLIT_SERVER_ADDRESS": args.host, "STREAMLIT_SERVER_PORT": str(args.port)}
    address = f"http://{args.host}:{args.port}"
    print(f"The explorer: {address}", flush=True)
    uvicorn.run(
        make_app(address if args.open else None),
        host=args.host,
        port=args.port,
        access_log=False,
        ws="websockets-sansio",
        ws_per_message_deflate=False,  # as Streamlit has it
        timeout_graceful_shutdown=2,  # readers' connections stay open as long as their pages do
    )


if __name__ == "__main__":
    main()
