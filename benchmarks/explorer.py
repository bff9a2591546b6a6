"""
The explorer in headless Chromium: how soon after the link a page has its headline and its first chart.

    chrt --rr 1 python -m benchmarks.explorer      # as root; without chrt it measures what else the machine does

A browser that has never run, with an empty cache, then the same page again; both once with `streamlit run app.py` and
once with `serve.py`, after either server has shown every page. The browser is spoken to without Playwright, which looks
at each of a hundred requests and takes a second for it.
"""

import argparse
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

from .measuring import table, write_results

EXPLORER = Path(__file__).parents[1] / "spaces" / "explorer"
PHOTO = EXPLORER.parent / "demo" / "examples" / "astronaut.jpg"
PAGES = sorted(path.stem for path in EXPLORER.glob("views/[!_]*.py"))
OPTIONS = ["--server.headless=true", "--server.showEmailPrompt=false", "--browser.gatherUsageStats=false"]
SERVERS = {
    "streamlit run": ["-m", "streamlit", "run", "app.py", *OPTIONS, "--server.port={port}"],
    "serve.py": ["serve.py", "--port", "{port}"],
}
PORT = 48761
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
def serving(command: list[str]) -> Iterator[str]:
    """The address of a server that has everything loaded."""
    words = [word.format(port=PORT) for word in command]
    environment = os.environ | {"PYTHONPATH": str(EXPLORER.parents[1]), "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen([sys.executable, *words], cwd=EXPLORER, env=environment, stdout=subprocess.DEVNULL)
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
def fresh_browser() -> Iterator[Callable[..., dict]]:
    """`call(method, **params)` of the DevTools protocol, for one tab of a browser with an empty cache."""
    flags = ["--headless=new", "--no-sandbox", "--remote-debugging-port=0", "--window-size=1280,900", "about:blank"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        command = ["chromium", f"--user-data-dir={home}", *flags]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        address = next(found[0] for line in process.stderr or () if (found := re.search(r"ws://\S+", line)))
        with connect(address, max_size=None) as socket:
            numbers = itertools.count(1)
            target = send(socket, next(numbers), "Target.createTarget", {"url": "about:blank"})["targetId"]
            attach = {"targetId": target, "flatten": True}
            session = send(socket, next(numbers), "Target.attachToTarget", attach)["sessionId"]
            time.sleep(3)  # until the browser itself has started

            def call(method: str, **params) -> dict:
                return send(socket, next(numbers), method, params, session)

            call("Page.enable")
            call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
            yield call
        process.terminate()
        process.wait(60)


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
    for _ in range(int(limit / 0.25)):
        time.sleep(0.25)
        found = call("Runtime.evaluate", expression="JSON.stringify(window.seen || {})")["result"]
        marks = json.loads(found["value"])
        if mark in marks:
            return {name: value / 1000 for name, value in marks.items()}
    raise RuntimeError(f"no {mark} within {limit} seconds")


def visit(url: str, name: str) -> list[float]:
    """Seconds to headline and first chart, with an empty cache and again."""
    mark = "headline" if name == "try_it" else "chart"
    times = []
    with fresh_browser() as call:
        for _ in range(2):
            call("Page.navigate", url=f"{url}/{name}")
            found = seen(call, mark)
            times += [found["headline"], found.get("chart", float("nan"))]
            time.sleep(1.5)
    return times


def first_answer(url: str) -> float:
    """Seconds from a photo to the first network's scores."""
    with fresh_browser() as call:
        call("Page.navigate", url=f"{url}/try_it")
        seen(call, "headline")
        time.sleep(3)
        find = "document.querySelector('input[type=file]')"
        field = call("Runtime.evaluate", expression=find)["result"]["objectId"]
        before = call("Runtime.evaluate", expression="performance.now()")["result"]["value"]
        call("DOM.setFileInputFiles", files=[str(PHOTO)], objectId=field)
        return seen(call, "answer")["answer"] - before / 1000


def measure(command: list[str], visits: int) -> tuple[dict[str, list[float]], float]:
    """Medians over some visits to each page, and of the photo."""
    with serving(command) as url:
        with fresh_browser() as call:
            for name in PAGES:
                call("Page.navigate", url=f"{url}/{name}")
                seen(call, "headline" if name == "try_it" else "chart")
        times = {name: np.median([visit(url, name) for _ in range(visits)], 0).tolist() for name in PAGES}
        return times, float(np.median([first_answer(url) for _ in range(visits)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=int, default=3)
    args = parser.parse_args()
    found = {name: measure(command, args.visits) for name, command in SERVERS.items()}
    (before, photo_before), (after, photo_after) = found.values()
    rows = [
        [
            name.replace("_", " "),
            *(f"{a:.1f} → {b:.1f}" if a == a else "–" for a, b in zip(before[name], after[name], strict=True)),
        ]
        for name in PAGES
    ]
    header = [
        "page",
        *(f"{mark}, {cache}" for cache in ("empty cache", "cached") for mark in ("headline", "first chart")),
    ]
    alone = os.sched_getscheduler(0) in (os.SCHED_RR, os.SCHED_FIFO)
    about = (
        f"Seconds after the link, `streamlit run app.py` → `serve.py`, the median of {args.visits} visits to a server "
        "that has shown every page before. "
        + ("Server and browser ran before all other work of the machine." if alone else "Other work was not held back.")
    )
    photo = f"Try it, from the photo to the first scores: {photo_before:.1f} s → {photo_after:.1f} s."
    print(
        write_results("explorer", "The explorer", "python -m benchmarks.explorer", [about, table(header, rows), photo])
    )


if __name__ == "__main__":
    main()
