"""MediaPipe's face networks, as TensorFlow Lite files, run by LiteRT on one thread."""

import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MODELS_DIR = Path(__file__).parent / "models"
# What LiteRT says when its first network is loaded; there is no switch for it.
GREETING = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU."


class FaceNetwork:
    """
    One of the networks in `models`. It may be called by several threads; they wait for each other.

    Args:
        file: its name.
        outputs: names of the tensors that a call gives, in this order.
    """

    def __init__(self, file: str, outputs: Sequence[str]):
        from ai_edge_litert.interpreter import Interpreter  # half a second

        with without_greeting():
            # XNNPACK's kernels need half the time of cv2.dnn's
            self._interpreter = Interpreter(str(MODELS_DIR / file), num_threads=1)
            self._interpreter.allocate_tensors()
        (given,) = self._interpreter.get_input_details()
        self._input, self._shape = given["index"], tuple(given["shape"])
        places = {detail["name"]: detail["index"] for detail in self._interpreter.get_output_details()}
        self._outputs = [places[name] for name in outputs]
        self._lock = threading.Lock()  # the interpreter holds the state of one pass

    def __call__(self, pixels: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """The outputs for `pixels` float32 (side, side, 3), scaled as the network wants them."""
        with self._lock:
            self._interpreter.set_tensor(self._input, pixels.reshape(self._shape))
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(index) for index in self._outputs]


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
