"""`gimefive webcam`: live boxes, bars and heat map in a window, or recorded to a file."""

import argparse
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..video.files import VideoFrame, VideoWriter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from ..runtimes.backends import add_model_arguments

    parser.add_argument("--camera", default="0", help="number of the camera, or a video file or stream (default: 0)")
    parser.add_argument("--record", metavar="OUT.mp4", help="write the annotated video; opens no window")
    parser.add_argument("--seconds", type=float, help="end after so long (default: until q, Esc or Ctrl-C)")
    parser.add_argument("--no-heat-map", action="store_true", help="leave the heat map out")
    parser.add_argument("--landmarks", action="store_true", help="draw the 68 landmarks")
    add_model_arguments(parser, precision="auto")


class LatestFrame:
    """
    Reads a camera in a thread and keeps only its newest frame: a slow machine drops frames rather than lag behind.

    Raises:
        ValueError: if the camera cannot be opened or gives no picture.
    """

    def __init__(self, camera: str):
        self._capture = cv2.VideoCapture(int(camera) if camera.isdigit() else camera)
        good, frame = self._capture.read()
        if not good:
            self._capture.release()
            raise ValueError(f"camera {camera}: cannot be opened or gives no picture; choose another with --camera")
        # a file would be read in an instant: it is played at its own speed, as a camera would give it
        self._pause = 0.0 if camera.isdigit() else 1 / (self._capture.get(cv2.CAP_PROP_FPS) or 25)
        self._newest: NDArray[np.uint8] | None = frame
        self._changed = threading.Condition()
        self._ended = False
        self.grabbed = 1
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        due = time.monotonic()
        while not self._ended:
            due += self._pause
            time.sleep(max(0.0, due - time.monotonic()))
            good, frame = self._capture.read()
            with self._changed:
                if good:
                    self._newest = frame
                    self.grabbed += 1
                else:
                    self._ended = True
                self._changed.notify()

    def __iter__(self) -> Iterator[VideoFrame]:
        """The newest frame, whenever the last one has been dealt with; times in seconds since the start."""
        start, index = time.monotonic(), 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._newest is not None or self._ended)
                if self._newest is None:
                    return
                bgr, self._newest = self._newest, None
            yield VideoFrame(index, time.monotonic() - start, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
            index += 1

    def close(self) -> None:
        self._ended = True
        self._thread.join()
        self._capture.release()


def run(args: argparse.Namespace) -> int:
    from ..recognizer import ExpressionRecognizer
    from ..runtimes.backends import load_predictor, model_options
    from ..tables import check_output
    from ..video.analysis import watch
    from ..video.overlay import draw_people

    if args.record:
        check_output(Path(args.record), (".mp4",))
    explain = None if args.no_heat_map else "grad-cam"
    fer = ExpressionRecognizer(load_predictor(**model_options(args), explain=explain))
    camera = LatestFrame(args.camera)
    shown = 0
    started = time.monotonic()
    try:
        with recorder(Path(args.record)) if args.record else window() as show:
            for result in watch(fer, camera, explain=explain, landmarks=args.landmarks, batch_size=1):
                if args.seconds is not None and result.frame.time > args.seconds:
                    break
                assert result.frame.image is not None
                if not show(draw_people(result.frame.image, result.people), result.frame.time):
                    break
                shown += 1
    except KeyboardInterrupt:
        pass
    finally:
        camera.close()
    rate = shown / max(time.monotonic() - started, 1e-9)
    print(f"{shown} frames shown of {camera.grabbed}, {rate:.1f} per second", file=sys.stderr)
    return 0


# Takes a frame and its time and tells whether to go on.
Show = Callable[[NDArray[np.uint8], float], bool]


@contextmanager
def recorder(path: Path) -> Iterator[Show]:
    """Writes the frames; the file appears when it is whole."""
    writer: VideoWriter | None = None

    def show(image: NDArray[np.uint8], seconds: float) -> bool:
        nonlocal writer
        writer = writer or VideoWriter(path, image.shape[1], image.shape[0])
        writer.write(image, seconds)
        return True

    try:
        yield show
    finally:
        if writer is not None:
            writer.close()


@contextmanager
def window() -> Iterator[Show]:
    """A window of Tk, which comes with Python. Raises ValueError where there is no screen."""
    try:
        import tkinter

        from PIL import Image, ImageTk

        root = tkinter.Tk()
    except Exception as error:  # also tkinter.TclError, which exists only where tkinter does
        raise ValueError(f"cannot open a window ({error}); use --record OUT.mp4 or `gimefive demo`") from None
    root.title("GiMeFive: q or Esc to end")
    label = tkinter.Label(root)
    label.pack()
    ended: list[bool] = []
    root.protocol("WM_DELETE_WINDOW", lambda: ended.append(True))
    for key in ("q", "<Escape>"):
        root.bind(key, lambda _event: ended.append(True))

    def show(image: NDArray[np.uint8], seconds: float) -> bool:
        picture = ImageTk.PhotoImage(Image.fromarray(image))
        label.configure(image=picture)
        label.image = picture  # type: ignore[attr-defined]  # Tk keeps no reference of its own
        root.update()
        return not ended

    try:
        yield show
    finally:
        root.destroy()
