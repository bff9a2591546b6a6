"""
Peak memory of the `gimefive video` command, process and all, for a clip of ten seconds and one of ten minutes.

    python -m benchmarks.video_memory
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from .clip import write_face_clip
from .measuring import table, write_results

FPS = 5
LENGTHS = (10, 600)


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        turn = write_face_clip(folder / "turn.mp4", LENGTHS[0], 320, 240, FPS)
        for seconds in LENGTHS:
            clip = repeat_clip(turn, folder / f"{seconds}.mp4", seconds // LENGTHS[0])
            call = [sys.executable, "-m", "gimefive_hf.cli", "video", str(clip), "-o", str(folder / "out.mp4")]
            call += ["--timeline", str(folder / "t.csv"), "--explain", "grad-cam", "--landmarks"]
            rows.append((seconds, peak_memory(call)))
    text = (
        f"320×240 at {FPS} frames/s, one moving face, annotated video and timeline out, with Grad-CAM and landmarks. "
        "Peak resident memory of the process as the kernel counted it, libraries and network included."
    )
    cells = [[f"{seconds} s", f"{seconds * FPS:,}", f"{peak:.0f} MB"] for seconds, peak in rows]
    made = table(["length", "frames", "peak memory"], cells)
    growth = f"Ten minutes take {rows[1][1] - rows[0][1]:+.0f} MB against ten seconds."
    command = "python -m benchmarks.video_memory"
    print(write_results("video-memory", "Memory of annotating a video", command, [text, made, growth]))


def repeat_clip(turn: Path, path: Path, times: int) -> Path:
    """The same frames over and over, copied without encoding anew."""
    import av

    if times == 1:
        return turn
    with av.open(str(path), "w") as output:
        with av.open(str(turn)) as given:
            stream = given.streams.video[0]
            target = output.add_stream_from_template(stream)
            length = stream.duration
        for round_number in range(times):
            with av.open(str(turn)) as given:
                for packet in given.demux(given.streams.video[0]):
                    if packet.dts is None:
                        continue
                    packet.pts += round_number * length
                    packet.dts += round_number * length
                    packet.stream = target
                    output.mux(packet)
    return path


def peak_memory(call: list[str]) -> float:
    """Run a command that must succeed; its peak resident memory in MB."""
    process = subprocess.Popen(call, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, call
    return usage.ru_maxrss / 1000  # kilobytes, on Linux


if __name__ == "__main__":
    main()
