"""Video files opened for reading: containers that hold a video, frames of a size that memory allows."""

import os
from pathlib import Path

import av

from ..images.files import Refused, check_regular, explained

# Containers that hold a video. Play lists, which name other files, are not among them.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "gif", "mpegts", "mpeg", "mpegvideo", "ogg", "flv", "asf",
    "yuv4mpegpipe", "h264", "hevc", "mjpeg", "mxf", "webp_anim", "apng", "swf", "rm", "dv", "ivf", "nut", "wtv",
)  # fmt: skip

# Frames of more pixels are refused: 8K is 7,680 × 4,320.
MAX_FRAME_PIXELS = 36_000_000
# A decoder may hold twenty frames: sixteen that later ones refer to, and those that its threads work on.
MAX_FRAME_BYTES = 100_000_000
# So far a stream's frames may grow beyond what its beginning tells: 4K is 4,096 × 2,160.
GROWN_PIXELS = 9_000_000


def open_video(path: Path) -> "av.container.InputContainer":
    """Open for reading. Raises ValueError that names the file and the reason."""
    with explained(path.name, "a video"):
        check_regular(path)
        if not os.access(path, os.R_OK):
            raise PermissionError
        if not path.stat().st_size:
            raise Refused(f"{path.name}: the file is empty")
    options = {
        "format_whitelist": ",".join(FORMATS),  # asked before a play list opens what it names
        "protocol_whitelist": "file",
        "max_pixels": str(MAX_FRAME_PIXELS),  # of the frames that are decoded to learn about the streams
    }
    try:
        container = av.open(str(path.absolute()), metadata_errors="replace", options=options)
    except av.FFmpegError as error:
        raise ValueError(f"{path.name}: not a video, or cut off ({error.strerror})") from None
    if container.format.name not in FORMATS:
        container.close()
        raise ValueError(f"{path.name}: not a video ({container.format.name})")
    return container


def open_stream(container: "av.container.InputContainer", name: str) -> "av.VideoStream":
    """
    The first video stream, ready to decode frames of what it announces and no more, or up to 4K if that is larger.

    Raises ValueError that begins with `name` if there is none, nothing decodes it, or its frames are too large.
    """
    # a picture in the tags of a sound file is no video
    streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    if not streams:
        raise ValueError(f"{name}: has {'only sound' if container.streams.audio else 'no video stream'}")
    stream = streams[0]
    context = stream.codec_context
    if context is None:
        raise ValueError(f"{name}: its video is of an unknown codec")
    pixels = (context.width or 0) * (context.height or 0)
    depth = av.VideoFormat(context.pix_fmt).padded_bits_per_pixel / 8 if context.pix_fmt else 1.5
    if pixels > MAX_FRAME_PIXELS or pixels * depth > MAX_FRAME_BYTES:
        raise ValueError(f"{name}: frames of {context.width}×{context.height} are too large")
    context.options = {"max_pixels": str(max(pixels, GROWN_PIXELS))}
    stream.thread_type = "AUTO"
    return stream
