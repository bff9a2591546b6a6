"""The networks in `models`, run on one thread: MediaPipe's by LiteRT, the others by ONNX Runtime."""

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

MODELS_DIR = Path(__file__).parent / "models"
# What LiteRT says when its first network is loaded; there is no switch for it.
GREETING = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU."


@dataclass(frozen=True)
class Loaded:
    """A network in the memory of one process, where one pass at a time may go through it."""

    interpreter: Any
    given: int
    shape: tuple[int, ...]
    wanted: tuple[int, ...]
    process: int = field(default_factory=os.getpid)
    lock: Any = field(default_factory=Lock)


class FaceNetwork:
    """
    One of the networks in `models`. It may be called by several threads; they wait for each other. It can be pickled,
    and a copy in another process, sent there or made by a fork, loads the file anew.

    Args:
        file: its name.
        outputs: names of the tensors that a call gives, in this order.
    """

    def __init__(self, file: str, outputs: Sequence[str]):
        self._file, self._names = file, tuple(outputs)
        self._loaded = self._load()

    def __reduce__(self) -> tuple:
        return type(self), (self._file, self._names)

    def _load(self) -> Loaded:
        from ai_edge_litert.interpreter import Interpreter  # half a second

        with without_greeting():
            # XNNPACK's kernels need half the time of cv2.dnn's
            interpreter = Interpreter(str(MODELS_DIR / self._file), num_threads=1)
            interpreter.allocate_tensors()
        (given,) = interpreter.get_input_details()
        places = {detail["name"]: detail["index"] for detail in interpreter.get_output_details()}
        wanted = tuple(places[name] for name in self._names)
        return Loaded(interpreter, given["index"], tuple(given["shape"]), wanted)

    def __call__(self, pixels: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """The outputs for `pixels` float32 (side, side, 3), scaled as the network wants them."""
        here = self._loaded
        if here.process != os.getpid():  # a fork copied it, maybe in the middle of another thread's pass
            here = self._loaded = self._load()
        with here.lock:
            here.interpreter.set_tensor(here.given, pixels.reshape(here.shape))
            here.interpreter.invoke()
            return [here.interpreter.get_tensor(index) for index in here.wanted]


@contextmanager
def without_greeting() -> Iterator[None]:
    """Keep LiteRT's greeting off the standard error; whatever else is written there meanwhile comes after."""
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, AttributeError, ValueError):  # no standard error, so nothing to keep clean
        yield
        return
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            written.seek(0)
            for line in written:
                if line.strip() != GREETING:
                    os.write(2, line)


def onnx_session(file: str) -> Any:
    """The ONNX network of this name in `models`, loaded once in each process; several threads may run it at once."""
    return _onnx_session(file, os.getpid())


@lru_cache(maxsize=4)
def _onnx_session(file: str, process: int) -> Any:
    """The network of this process: one that a fork copied may be in the middle of another thread's pass."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(MODELS_DIR / file), options, providers=["CPUExecutionProvider"])
