"""
The browser's page in headless Chromium without a GPU, with a fake camera of 640×480: how soon, how fast, how steady.

    python -m benchmarks.live [--minutes 10] [--seconds 30]

Memory is watched for the minutes, speed measured over the seconds. Beside the wall clock, processor time of the threads
is measured: what a free core would need, on a busy machine too.
"""

import json
import shutil
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
from playwright.sync_api import Page, sync_playwright

from gimefive_hf.video.files import VideoReader
from spaces.build_live import build
from spaces.serve_live import serving

from .measuring import options, table, write_results

CLIP = Path(__file__).parents[1] / "spaces" / "demo" / "examples" / "changing_face.mp4"
WIDTH, HEIGHT = 640, 480
FLAGS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
# Stages as the page notes them.
STAGES = {"pixels": "pixels", "faces": "faces and landmarks", "scores": "scores", "ms": "whole frame"}
# Threads of the page's process: the reading, the page itself, and putting the picture together.
THREADS = {"DedicatedWorker": "worker", "chromium": "page", "Compositor": "compositor"}


def write_camera(path: Path) -> None:
    """The clip as what Chromium takes for a camera of 30 frames a second."""
    with VideoReader(CLIP) as reader, open(path, "wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F30:1 Ip A1:1 C420jpeg\n".encode())
        for frame in reader:
            image = cv2.resize(frame.image, (WIDTH, HEIGHT))
            file.write(b"FRAME\n" + cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420).tobytes())


def loaded(page: Page, url: str) -> float:
    """Seconds from the address to a page that can start."""
    start = time.perf_counter()
    page.goto(url)
    page.wait_for_selector("body[data-state=ready]", timeout=120_000)
    return time.perf_counter() - start


def renderer() -> psutil.Process:
    """The page's process: the one of Chromium's renderers that takes most memory."""
    family = psutil.Process().children(recursive=True)
    return max((p for p in family if "--type=renderer" in p.cmdline()), key=lambda p: p.memory_info().rss)


def thread_seconds(process: psutil.Process) -> dict[str, float]:
    """Processor seconds by the name of the thread."""
    seconds: dict[str, float] = {}
    for thread in process.threads():
        name = Path(f"/proc/{process.pid}/task/{thread.id}/comm").read_text().strip()
        seconds[name] = seconds.get(name, 0.0) + thread.user_time + thread.system_time
    return seconds


def watch(page: Page, process: psutil.Process, seconds: float) -> dict[str, float]:
    """Frames a second, medians of the stages, and processor milliseconds of the threads per frame."""

    def stages() -> dict[str, float]:
        return json.loads(page.get_attribute("#speed", "data-stages") or "{}")

    first, before, start = stages(), thread_seconds(process), time.perf_counter()
    seen = []
    while time.perf_counter() - start < seconds:
        page.wait_for_timeout(250)
        seen.append(stages())
    took, after = time.perf_counter() - start, thread_seconds(process)
    frames = seen[-1]["frames"] - first["frames"]
    result = {}
    for name, label in STAGES.items():
        times = [row[name] for row in seen]
        result[f"{label}, median"] = float(np.median(times))
        result[f"{label}, fastest twentieth"] = float(np.percentile(times, 5))
    for name, label in THREADS.items():
        result[f"{label}, processor time"] = 1000 * (after.get(name, 0.0) - before.get(name, 0.0)) / max(frames, 1)
    return {"frames a second": frames / took, **result}


def main() -> None:
    args = options(__doc__, minutes=10.0, seconds=30.0)
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        camera = Path(temporary) / "camera.y4m"
        write_camera(camera)
        flags = [*FLAGS, f"--use-file-for-fake-video-capture={camera}"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        page = browser.new_context(permissions=["camera"]).new_page()
        with serving(build(Path(temporary) / "page")) as url:
            cold, warm = loaded(page, url), loaded(page, url)
            requests: list[str] = []
            page.on("request", lambda request: requests.append(request.url))
            start = time.perf_counter()
            page.click("#start")
            page.wait_for_selector("#bars output[data-score]")
            answer = time.perf_counter() - start
            process = renderer()
            page.wait_for_timeout(3000)  # until WebAssembly is compiled for speed
            speed = watch(page, process, args.seconds)
            memory = [process.memory_info().rss / 1e6]
            for _ in range(round(2 * args.minutes)):
                page.wait_for_timeout(30_000)
                memory.append(process.memory_info().rss / 1e6)
            sent = [address for address in requests if not address.startswith("blob:")]
        browser.close()
    starting = [["opened for the first time", f"{cold:.1f} s"], ["opened again, from its cache", f"{warm:.1f} s"]]
    starting.append(["first answer after the click", f"{answer:.1f} s"])
    rows = [[name, f"{value:.1f}"] for name, value in speed.items()]
    remembered = [f"{memory[0]:.0f}", f"{memory[len(memory) // 2]:.0f}", f"{memory[-1]:.0f}", f"{max(memory):.0f}"]
    write_results(
        __spec__,
        "The page that reads in the browser",
        f"One face, landmarks and bars, {WIDTH}×{HEIGHT}, headless Chromium without a GPU, one thread of "
        "WebAssembly; the page is served from this machine. But for the first row, milliseconds per frame: of the "
        "wall clock, and processor time of a thread. Where few frames are read, each bears more of what is done by "
        "the clock: a look at a piece of the picture for new faces, the panel and the charts.",
        table(["", "wall clock"], starting),
        table(["while the camera runs", f"over {args.seconds:.0f} s"], rows),
        table(["memory of the page's process, MB", "half way", f"after {args.minutes:g} min", "most"], [remembered]),
        f"Requests while the camera ran: {len(sent)}.",
    )


if __name__ == "__main__":
    main()
