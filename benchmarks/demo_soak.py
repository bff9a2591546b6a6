"""
The demo under many clients at once: photos, clips, cancelled requests, aborted uploads, attacks; how long answers take,
how far its memory grows, what it leaves on the disk.

    python -m benchmarks.demo_soak [--clients 32] [--minutes 5] [--model gimefive]
"""

import io
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
from PIL import Image

from .measuring import options, table, write_results

ROOT = Path(__file__).parents[1]
CLIP = next((ROOT / "spaces" / "demo" / "examples").glob("*.mp4"))
# How often each kind of client comes, of a hundred.
MIX = {"photo": 44, "broken photo": 8, "clip": 6, "cancelled": 14, "unread": 8, "aborted upload": 12, "attack": 8}


@dataclass
class Soak:
    """What was seen: seconds of each kind's answers, refusals for a full queue, and other failures in words."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    refused: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    failures: list[str] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    warm: float = 0.0
    after: float = 0.0
    left: list[str] = field(default_factory=list)


@contextmanager
def running_demo(model: str = "gimefive"):
    """(address, process id, folder of its temporary files) of a demo in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        code = f"import app; print(app.launch({model!r}, port=None, block=False), flush=True); input()"
        paths = os.pathsep.join([str(ROOT), str(ROOT / "spaces" / "demo")])
        environment = {**os.environ, "PYTHONPATH": paths, "GRADIO_TEMP_DIR": folder, "TMPDIR": folder}
        command = [sys.executable, "-c", code]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, env=environment, text=True, cwd=ROOT, **pipes) as process:
            try:
                lines = iter(process.stdout.readline, "")
                url = next(match[0] for line in lines if (match := re.fullmatch(r"http://\S+/\n", line))).strip()
                yield url, process.pid, Path(folder)
            finally:
                process.kill()


class Client:
    """One visitor, who does one thing after another."""

    def __init__(self, url: str, photos: list[bytes], seed: int, soak: Soak) -> None:
        self.url, self.photos, self.soak = url, photos, soak
        self.random = random.Random(seed)
        self.http = httpx.Client(base_url=url, timeout=300)
        config = self.http.get("config").json()
        self.indices = {f["api_name"]: f["id"] for f in config["dependencies"]}

    def act(self) -> None:
        """One request of a kind drawn from the mix."""
        [kind] = self.random.choices(list(MIX), list(MIX.values()))
        start = time.perf_counter()
        try:
            answered = getattr(self, kind.replace(" ", "_"))()
        except httpx.HTTPError as error:
            self.soak.failures.append(f"{kind}: {error!r}")
            return
        if answered:
            self.soak.seconds[kind].append(time.perf_counter() - start)
        else:
            self.soak.refused[kind] += 1
            time.sleep(self.random.random())

    def upload(self, data: bytes, name: str) -> dict[str, str] | None:
        response = self.http.post("gradio_api/upload", files={"files": (name, data)})
        return {"path": response.json()[0]} if response.status_code == 200 else None

    def call(self, name: str, data: list) -> str | None:
        """The answer's text; None if the queue is full."""
        response = self.http.post(f"gradio_api/call/{name}", json={"data": data})
        if response.status_code == 503:
            return None
        return self.http.get(f"gradio_api/call/{name}/{response.raise_for_status().json()['event_id']}").text

    def expect(self, kind: str, text: str | None, word: str) -> bool:
        if text is not None and word not in text:
            self.soak.failures.append(f"{kind}: {text[:200]}")
        return text is not None

    def photo(self) -> bool:
        file = self.upload(self.random.choice(self.photos), "photo.jpg")
        return file is not None and self.expect("photo", self.call("predict", [file, False]), "faces")

    def broken_photo(self) -> bool:
        data = self.random.choice(self.photos)
        file = self.upload(data[: self.random.randrange(len(data) // 2)], "cut.jpg")
        return file is not None and self.expect("broken photo", self.call("predict", [file, False]), "error")

    def clip(self) -> bool:
        file = self.upload(CLIP.read_bytes(), "clip.mp4")
        return file is not None and self.expect("clip", self.call("predict_video", [file, 10]), "frames")

    def join(self, name: str, file: dict[str, str], session: str) -> str | None:
        data = [file, 10 if name == "predict_video" else False]
        body = {"session_hash": session, "fn_index": self.indices[name], "data": data}
        response = self.http.post("gradio_api/queue/join", json=body)
        return response.json().get("event_id") if response.status_code == 200 else None

    def cancelled(self) -> bool:
        clip = self.random.random() < 0.3
        file = self.upload(CLIP.read_bytes() if clip else self.random.choice(self.photos), "mine.bin")
        session, name = f"s{self.random.getrandbits(40)}", "predict_video" if clip else "predict"
        if file is None or (event := self.join(name, file, session)) is None:
            return False
        time.sleep(self.random.random())
        body = {"session_hash": session, "fn_index": self.indices[name], "event_id": event}
        self.http.post("gradio_api/cancel", json=body).raise_for_status()
        return True

    def unread(self) -> bool:
        """Asks, and never comes for the answer."""
        file = self.upload(self.random.choice(self.photos), "photo.jpg")
        return file is not None and self.join("predict", file, f"s{self.random.getrandbits(40)}") is not None

    def aborted_upload(self) -> bool:
        place = urlsplit(self.url)
        with socket.create_connection((place.hostname, place.port)) as connection:
            head = f"POST /gradio_api/upload HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: 9000000\r\n"
            head += "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
            part = '--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
            connection.sendall((head + part).encode() + bytes(self.random.randrange(3_000_000)))
        return True

    def attack(self) -> bool:
        body = json.dumps({"data": [{"path": "/etc/hostname"}, False]}).encode()
        name = self.random.choice(["predict", "predict_video"])
        response = self.http.post(f"gradio_api/call/{name}", content=body, headers={"Content-Type": "application/json"})
        return self.expect("attack", response.text, "not uploaded")


def photos() -> list[bytes]:
    """JPEGs of several sizes, with a face and without."""
    from skimage.data import astronaut, coffee

    files = []
    for image in (astronaut(), astronaut()[:256, 100:356], coffee(), np.tile(astronaut(), (2, 2, 1))):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=90)
        files.append(buffer.getvalue())
    return files


def memory_of(pid: int) -> float:
    """Resident MB of a process."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def soak(url: str, pid: int, folder: Path, clients: int, seconds: float, warm_seconds: float) -> Soak:
    """Warm up with the same mix, let the clients loose, and then wait until all must be gone."""
    result, images = Soak(), photos()
    for length in (warm_seconds, seconds):
        result.seconds.clear()
        result.refused.clear()
        end = time.monotonic() + length

        def visit(seed: int, end: float = end) -> None:
            client = Client(url, images, seed, result)
            while time.monotonic() < end:
                client.act()

        threads = [threading.Thread(target=visit, args=(seed,)) for seed in range(clients)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.5)
            result.memory.append(memory_of(pid))
        settle(url)
        result.warm, result.after = result.after or memory_of(pid), memory_of(pid)
    left = (path for path in folder.rglob("*") if path.is_file() and path.name != ".alive")
    result.left = [str(path.relative_to(folder)) for path in left]
    return result


def settle(url: str) -> None:
    """Wait until the queue is empty, and a little longer for what is swept."""
    while httpx.get(url + "gradio_api/queue/status", timeout=60).json()["queue_size"]:
        time.sleep(1)
    time.sleep(8)


def rows(result: Soak) -> list[list[str]]:
    lines = []
    for kind in MIX:
        seconds = result.seconds[kind] or [float("nan")]
        times = [f"{np.percentile(seconds, p):.2f}" for p in (50, 95)]
        lines.append([kind, str(len(result.seconds[kind])), str(result.refused[kind]), *times])
    return lines


def main() -> None:
    args = options(__doc__, clients=32, minutes=5.0, model="gimefive")
    with running_demo(args.model) as (url, pid, folder):
        result = soak(url, pid, folder, args.clients, 60 * args.minutes, 60)
    about = (
        f"{args.clients} clients at once for {args.minutes:g} minutes, after a minute of the same to warm up; each "
        f"begins anew when it has its answer. `{args.model}`; a clip is the example's, every tenth frame. Times from "
        "the upload to the whole answer, the wait in the queue included."
    )
    made = table(["client", "answered", "queue full", "p50, s", "p95, s"], rows(result))
    kept = (
        f"Memory of the server: {result.warm:.0f} MB warm, {max(result.memory):.0f} MB at most, {result.after:.0f} MB "
        f"afterwards. Files left: {len(result.left)}. Wrong answers: {len(result.failures)}."
    )
    write_results(__spec__, "The demo under load", about, made, kept)
    print(*result.failures[:10], *result.left[:10], sep="\n")


if __name__ == "__main__":
    main()
