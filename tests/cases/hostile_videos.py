"""Videos that are small on disk and large once decoded, made with libav's encoders or by hand."""

from pathlib import Path

import av
import numpy as np


def raw_h264(path: Path, width: int, height: int, frames: int, pixels: str = "yuv420p", refs: int = 1) -> bytes:
    """A raw stream (ITU H.264, annex B) of empty frames that keeps `refs` of them."""
    with av.open(str(path), "w", format="h264") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.options = {"preset": "ultrafast", "x264-params": f"ref={refs}:bframes={3 if refs > 4 else 0}:threads=1"}
        for index in range(frames):
            grey = av.VideoFrame(width, height, pixels)
            for plane in grey.planes:
                plane.update(bytes([index * 8 % 256]) * plane.buffer_size)
            grey.pts = index
            output.mux(stream.encode(grey))
        output.mux(stream.encode())
    return path.read_bytes()


def growing_h264(path: Path, side: int = 8192, frames: int = 20, pixels: str = "yuv420p", refs: int = 1) -> Path:
    """Ten frames of 64×48, then `frames` of side × side: nothing in the file's beginning tells of them."""
    small = raw_h264(path, 64, 48, 10)
    path.write_bytes(small + raw_h264(path, side, side, frames, pixels, refs))
    return path


def growing_mjpeg(path: Path, side: int = 8192, frames: int = 20) -> Path:
    """The same as JPEG pictures one after the other."""
    import io

    from PIL import Image

    with open(path, "wb") as file:
        for width, count in ((64, 10), (side, frames)):
            buffer = io.BytesIO()
            Image.fromarray(np.zeros((width, width, 3), np.uint8)).save(buffer, "JPEG")
            file.write(buffer.getvalue() * count)
    return path
