"""Video files: frames upright, with their times, in; H.264 with the same times and the sound out."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from ..tables import beside
from .opening import open_stream, open_video

# Pixels of a frame to which a stream that grows is held, unless it began with larger ones.
FULL_HD = 1920 * 1080
# The most that H.264 can code a side.
MAX_SIDE = 16_384

# Half the time of the preset "superfast" at crf 20 for a tenth more bytes and 0.4 dB less PSNR, on an annotated clip.
# Without the deblocking filter and the sub-pixel search, which "ultrafast" leaves out, it would be a third more bytes.
ENCODER = {"preset": "ultrafast", "crf": "22", "x264-params": "deblock=0,0:subme=1"}

# Sound that an mp4 may hold and browsers play; other sound is encoded anew as AAC.
COPIED_AUDIO = ("aac", "mp3", "opus", "ac3", "eac3", "alac", "flac")


@dataclass(frozen=True)
class VideoFrame:
    """
    One frame: its number from 0, its time in seconds, and `image` uint8 RGB (height, width, 3), upright; or None where
    nothing could be decoded, with the reason as `error`.
    """

    index: int
    time: float
    image: NDArray[np.uint8] | None
    error: str | None = None


class VideoReader:
    """
    Reads a video file frame by frame.

    Attributes:
        width, height: of the upright frames, in pixels.
        time_base: unit of the file's times, in seconds; frame times are multiples of it.
        rate: mean frames per second, or None if the file does not say.
        frame_count: estimated from length and rate; None if unknown.

    Raises:
        ValueError: if the file cannot be read or has no video; the text names it and the reason.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._container = open_video(self.path)
        try:
            self._stream = open_stream(self._container, self.path.name)
        except ValueError:
            self._container.close()
            raise
        self.time_base: Fraction = self._stream.time_base or Fraction(1, 90000)
        self.rate = float(self._stream.average_rate) if self._stream.average_rate else None
        self.start = max(0.0, (self._container.start_time or 0) / av.time_base)
        length = float(self._stream.duration * self.time_base) if self._stream.duration else self.duration
        self.frame_count = self._stream.frames or (round(length * self.rate) if length and self.rate else None)
        self._most = 0  # pixels of a frame
        frames, begun = self._decode(), []
        for frame in frames:  # up to the first whole one, which tells the size before anything is written
            begun.append(frame)
            if frame.image is not None:
                self.height, self.width = frame.image.shape[:2]
                self._frames = chain(begun, frames)
                return
        self.close()
        raise ValueError(f"{self.path.name}: no frame could be decoded; the file is empty or broken")

    @property
    def has_sound(self) -> bool:
        """Whether there is a sound track of a known codec."""
        return any(stream.codec_context is not None for stream in self._container.streams.audio)

    @property
    def duration(self) -> float | None:
        """Length in seconds as the file says it."""
        return self._container.duration / av.time_base if self._container.duration else None

    def __iter__(self) -> Iterator[VideoFrame]:
        """All frames in order; those that are broken with `image` None."""
        return self._frames

    def _decode(self) -> Iterator[VideoFrame]:
        last = -1
        step = max(1, round(1 / (self.rate or 25) / self.time_base))
        for index, (given, image, error) in enumerate(self._images()):
            if image is None:
                pts = last + step if given is None else given
            else:  # some files lack times or repeat them: every frame gets a later one than the last
                pts = last = last + step if given is None else max(given, last + 1)
            yield VideoFrame(index, max(0.0, float(pts * self.time_base) - self.start), image, error)

    def _images(self) -> Iterator[tuple[int | None, NDArray[np.uint8] | None, str | None]]:
        """Time stamp and pixels of each frame, or no pixels and the reason."""
        converter = av.video.reformatter.VideoReformatter()
        packets = self._container.demux(self._stream)
        while True:
            packet = None
            try:
                packet = next(packets, None)
                frames = [] if packet is None else packet.decode()
            except av.FFmpegError as error:
                yield None if packet is None else packet.pts, None, broken(error)
                frames = []
            if packet is None:  # the end, or nothing can be read from here on
                return
            for frame in frames:
                try:
                    image = self._fitting(upright(frame, converter))
                except (av.FFmpegError, ValueError) as error:  # pixels of a kind that cannot be converted
                    yield frame.pts, None, broken(error)
                    continue
                yield frame.pts, image, None

    def _fitting(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A frame that outgrows the first one and full HD, brought down to that: many wait for their turn at a time."""
        height, width = image.shape[:2]
        self._most = self._most or max(height * width, FULL_HD)
        if height * width <= self._most:
            return image
        scale = (self._most / (height * width)) ** 0.5
        size = (max(1, int(width * scale)), max(1, int(height * scale)))
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA)

    def close(self) -> None:
        self._container.close()

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def broken(error: Exception) -> str:
    """What to say of a frame that could not be decoded."""
    return f"broken frame ({getattr(error, 'strerror', None) or type(error).__name__})"


def upright(frame: "av.VideoFrame", converter: "av.video.reformatter.VideoReformatter") -> NDArray[np.uint8]:
    """RGB pixels, turned as the file says that a player must turn them."""
    image = converter.reformat(frame, format="rgb24").to_ndarray()
    turns = round(frame.rotation / 90) % 4  # counter-clockwise
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


class VideoWriter:
    """
    Writes H.264, yuv420p, index first, so that browsers play it while it loads; with the sound of another file.

    The file has a hidden name until `close` gives it its own; `abort` removes it.

    Args:
        path: ends in .mp4.
        width, height: of the frames; an odd side gets its last line twice, because H.264 needs even ones.
        time_base: unit of the times, in seconds.
        rate: expected frames per second, which only steers the encoder.
        audio: file whose sound is taken over.
    """

    def __init__(
        self,
        path: str | Path,
        width: int,
        height: int,
        time_base: Fraction = Fraction(1, 90000),
        rate: float | None = None,
        audio: VideoReader | None = None,
    ):
        self.path = Path(path)
        if max(width, height) > MAX_SIDE:
            raise ValueError(
                f"{self.path.name}: frames of {width}×{height} cannot be written; H.264 takes {MAX_SIDE:,} pixels a "
                "side. The timeline alone can be made"
            )
        self._part = beside(self.path)
        self.width, self.height = width, height
        # the encoder cannot count in nanoseconds, which some files do
        self.time_base = time_base if time_base.denominator <= 1_000_000 else Fraction(1, 90000)
        self._container = av.open(str(self._part), "w", format="mp4", options={"movflags": "+faststart"})
        self._stream = self._container.add_stream("libx264", rate=Fraction(rate or 25).limit_denominator(1001))
        self._stream.width, self._stream.height = width + width % 2, height + height % 2
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = ENCODER
        self._stream.codec_context.time_base = self.time_base
        self._stream.codec_context.colorspace = av.video.reformatter.Colorspace.ITU709
        self._converter = av.video.reformatter.VideoReformatter()  # one for all frames: to set it up takes as long
        self._last = -1
        self.frames = 0
        self._audio = AudioCopy(audio, self._container) if audio is not None and audio.has_sound else None

    def write(self, image: NDArray[np.uint8], time: float) -> None:
        """Add a frame, uint8 RGB (height, width, 3), at `time` in seconds; sound up to then is added too."""
        if image.shape[:2] != (self.height, self.width):  # a stream may change its size
            image = cv2.resize(image, (self.width, self.height), interpolation=cv2.INTER_AREA)
        if self.width % 2 or self.height % 2:
            image = np.pad(image, ((0, self.height % 2), (0, self.width % 2), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        target = av.video.reformatter.Colorspace.ITU709
        frame = self._converter.reformat(frame, format="yuv420p", dst_colorspace=target)
        frame.pts = max(round(time / self.time_base), self._last + 1)
        frame.time_base = self.time_base
        self._last = frame.pts
        self._container.mux(self._stream.encode(frame))
        self.frames += 1
        if self._audio is not None:
            self._audio.advance(time)

    def close(self, whole: bool = True) -> None:
        """Finish the file and give it its name. `whole`: the video was read to its end, so all sound is taken."""
        self._container.mux(self._stream.encode())
        if self._audio is not None:
            self._audio.finish(None if whole else float(self._last * self.time_base))
        self._container.close()
        os.replace(self._part, self.path)

    def abort(self) -> None:
        """Leave nothing behind."""
        with suppress(av.FFmpegError):  # a full disk, say; the file goes anyway
            self._container.close()
        self._part.unlink(missing_ok=True)


class AudioCopy:
    """Carries the sound of a file over, in step with the video, so that neither waits in memory for the other."""

    def __init__(self, reader: VideoReader, output: "av.container.OutputContainer"):
        self._output, self._start = output, reader.start
        self._input = open_video(reader.path)
        self._source = next(s for s in self._input.streams.audio if s.codec_context is not None)
        self._copies = self._source.codec_context.name in COPIED_AUDIO
        if self._copies:
            self._target = output.add_stream_from_template(self._source)
        else:
            self._target = output.add_stream("aac", rate=self._source.rate or 48000)
        self._packets = self._packets_in_order()
        self._next = next(self._packets, None)

    def _packets_in_order(self) -> Iterator["av.Packet"]:
        try:
            for packet in self._input.demux(self._source):
                if packet.dts is not None:
                    yield packet
        except av.FFmpegError:  # cut off: what came before is kept
            return

    def advance(self, until: float) -> None:
        """Write the sound up to `until` seconds."""
        while self._next is not None and float(self._next.dts * self._next.time_base) - self._start <= until:
            self._write(self._next)
            self._next = next(self._packets, None)

    def _write(self, packet: "av.Packet") -> None:
        if self._copies:
            shift = round(self._start / packet.time_base)
            packet.pts, packet.dts = (packet.pts or packet.dts) - shift, packet.dts - shift
            packet.stream = self._target
            self._output.mux(packet)
            return
        try:
            for frame in packet.decode():
                frame.pts = None if frame.pts is None else frame.pts - round(self._start / frame.time_base)
                self._output.mux(self._target.encode(frame))
        except av.FFmpegError:  # a broken packet is silence
            return

    def finish(self, until: float | None) -> None:
        """Write the rest, or the rest up to `until` seconds, and close the file."""
        self.advance(float("inf") if until is None else until)
        if not self._copies:
            self._output.mux(self._target.encode())
        self._input.close()
