"""
The explorer in headless Chromium: how soon after the link a page has its headline and its first chart.

    chrt --rr 1 python -m benchmarks.explorer      # as root; without chrt it measures what else the machine does

Each visit is that of a new reader: a profile of its own in a browser that runs, with an empty cache; then the same page
again. The server has shown every page before. The browser is spoken to without Playwright, which looks at each of a
hundred requests and takes a second for it.
"""

import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
from websockets.sync.client import ClientConnection, connect

from .measuring import options, table, write_results

EXPLORER = Path(__file__).parents[1] / "spaces" / "explorer"
PHOTO = EXPLORER.parent / "demo" / "examples" / "astronaut.jpg"
PAGES = sorted(path.stem for path in EXPLORER.glob("views/*/[!_]*.py"))
PORT = 48761
# Of pages that wait for the reader the headline is all there is.
MARKS = dict.fromkeys(PAGES, "chart") | {"try_it": "headline"}
# Milliseconds after the link at which each of the marks is on the page.
WATCH = """
window.seen = {};
const marks = {
  headline: () => document.querySelector('[data-testid=stHeading] h1'),
  chart: () => document.querySelector('.scatterlayer .points path, .heatmaplayer image, .scatterlayer .js-line'),
  answer: () => document.body?.innerText.includes('Face 1 of 1.'),
};
const look = () => {
  for (const name in marks) if (!seen[name] && marks[name]()) seen[name] = performance.now();
  requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""


@contextmanager
def serving() -> Iterator[str]:
    """The address of a server that has everything loaded."""
    environment = os.environ | {"PYTHONPATH": str(EXPLORER.parents[1]), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "serve.py", "--port", str(PORT)]
    process = subprocess.Popen(command, cwd=EXPLORER, env=environment, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{PORT}"
    try:
        while process.poll() is None:
            try:
                urlopen(f"{url}/_stcore/health").read()
                break
            except URLError:
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def running_browser() -> Iterator[ClientConnection]:
    """The DevTools protocol of a browser."""
    flags = ["--headless=new", "--no-sandbox", "--remote-debugging-port=0", "--window-size=1280,900", "about:blank"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        command = ["chromium", f"--user-data-dir={home}", *flags]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            address = next(found[0] for line in process.stderr or () if (found := re.search(r"ws://\S+", line)))
            with connect(address, max_size=None) as socket:
                time.sleep(3)  # until the browser itself has started
                yield socket
        finally:
            process.terminate()
            process.wait(60)


@contextmanager
def new_reader(socket: ClientConnection, numbers: Iterator[int]) -> Iterator[Callable[..., dict]]:
    """`call(method, **params)` of the DevTools protocol, for one tab of a new profile, whose cache is empty."""
    profile = send(socket, next(numbers), "Target.createBrowserContext", {})["browserContextId"]
    tab = {"url": "about:blank", "browserContextId": profile}
    target = send(socket, next(numbers), "Target.createTarget", tab)["targetId"]
    attach = {"targetId": target, "flatten": True}
    session = send(socket, next(numbers), "Target.attachToTarget", attach)["sessionId"]

    def call(method: str, **params) -> dict:
        return send(socket, next(numbers), method, params, session)

    call("Page.enable")
    call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
    time.sleep(0.5)  # until the tab has its process
    yield call
    send(socket, next(numbers), "Target.disposeBrowserContext", {"browserContextId": profile})


def send(socket: ClientConnection, number: int, method: str, params: dict, session: str | None = None) -> dict:
    """The result of one call. Raises RuntimeError with what the browser says."""
    socket.send(
        json.dumps({"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {}))
    )
    while (answer := json.loads(socket.recv())).get("id") != number:
        pass
    if "error" in answer:
        raise RuntimeError(f"{method}: {answer['error']}")
    return answer["result"]


def seen(call: Callable[..., dict], mark: str, limit: float = 60) -> dict[str, float]:
    """Seconds after the link of all marks, once the given one is there. Raises RuntimeError after `limit` seconds."""
    for _ in range(int(limit / 0.1)):
        time.sleep(0.1)
        found = call("Runtime.evaluate", expression="JSON.stringify(window.seen || {})")["result"]
        marks = json.loads(found["value"])
        if mark in marks:
            return {name: value / 1000 for name, value in marks.items()}
    raise RuntimeError(f"no {mark} within {limit} seconds")


def visit(call: Callable[..., dict], address: str, mark: str) -> list[float]:
    """Seconds to headline and first chart, with an empty cache and again."""
    times = []
    for _ in range(2):
        call("Page.navigate", url=address)
        found = seen(call, mark)
        times += [found["headline"], found.get("chart", float("nan"))]
        time.sleep(1)  # until the rest of the page is there
    return times


def first_answer(call: Callable[..., dict], address: str) -> float:
    """Seconds from a photo to the first network's scores."""
    call("Page.navigate", url=address)
    seen(call, "headline")
    time.sleep(2)
    field = call("Runtime.evaluate", expression="document.querySelector('input[type=file]')")["result"]["objectId"]
    before = call("Runtime.evaluate", expression="performance.now()")["result"]["value"]
    call("DOM.setFileInputFiles", files=[str(PHOTO)], objectId=field)
    return seen(call, "answer")["answer"] - before / 1000


def measure(visits: int) -> tuple[dict[str, list[float]], float]:
    """Medians over some visits to each page, and of the photo."""
    numbers = itertools.count(1)
    with serving() as url, running_browser() as socket:
        times: dict[str, list[list[float]]] = {name: [] for name in PAGES}
        with new_reader(socket, numbers) as call:
            for name, mark in MARKS.items():
                call("Page.navigate", url=f"{url}/{name}")
                seen(call, mark)
        for _ in range(visits):
            for name, mark in MARKS.items():
                with new_reader(socket, numbers) as call:
                    times[name].append(visit(call, f"{url}/{name}", mark))
        photos = []
        for _ in range(visits):
            with new_reader(socket, numbers) as call:
                photos.append(first_answer(call, f"{url}/try_it"))
    return {name: np.median(found, 0).tolist() for name, found in times.items()}, float(np.median(photos))


def main() -> None:
    args = options(__doc__, visits=3)
    before = os.getloadavg()[0]
    times, photo = measure(args.visits)
    rows = [[name.replace("_", " "), *(f"{t:.1f}" if t == t else "–" for t in found)] for name, found in times.items()]
    marks = [f"{mark}, {cache}" for cache in ("empty cache", "cached") for mark in ("headline", "first chart")]
    alone = os.sched_getscheduler(0) in (os.SCHED_RR, os.SCHED_FIFO)
    about = (
        f"Seconds after the link, the median of {args.visits} visit(s) to a server that has shown every page before. "
        + ("Server and browser ran before all other work of the machine" if alone else "Other work was not held back")
        + f"; the load average before was {before:.1f}."
    )
    slow = [name for name, found in times.items() if found[1] >= 2]
    about += f" {len(times) - len(slow)} of {len(times)} pages are there within two seconds with an empty cache."
    text = f"Try it, from the photo to the first scores: {photo:.1f} s."
    write_results(__spec__, "The explorer", about, table(["page", *marks], rows), text)


if __name__ == "__main__":
    main()
