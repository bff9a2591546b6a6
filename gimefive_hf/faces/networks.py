"""The networks in `models`, run on one thread: MediaPipe's by LiteRT, the others by ONNX Runtime."""

import os
from collections import defaultdict, deque
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MODELS_DIR = Path(__file__).parent / "models"
# File → what `load` gave: LiteRT's interpreters through which no pass goes just now, 4 to 8 MB each, one a core at
# most. A fork copies them unused, and taking one needs no lock that nobody would give back.
IDLE: dict[str, deque] = defaultdict(lambda: deque(maxlen=os.cpu_count()))


@dataclass(frozen=True)
class FaceNetwork:
    """
    One of MediaPipe's networks in `models`. It may be called by several threads at once, sent to other processes, and
    used on after a fork.

    Attributes:
        file: its name.
        outputs: names of the tensors that a call gives, in this order.
    """

    file: str
    outputs: tuple[str, ...]

    def __call__(self, pixels: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """The outputs for `pixels` float32 (side, side, 3), scaled as the network wants them."""
        try:
            idle = IDLE[self.file].pop()
        except IndexError:
            idle = load(self.file)
        interpreter, given, places = idle
        interpreter.set_tensor(given["index"], pixels.reshape(given["shape"]))
        interpreter.invoke()
        found = [interpreter.get_tensor(places[name]) for name in self.outputs]
        IDLE[self.file].append(idle)
        return found


def load(file: str) -> tuple[Any, dict, dict[str, int]]:
    """
    LiteRT with the network of this name in `models`, what it is given, and name → place of what it gives. Of the first
    one it says on standard error how it computes.
    """
    from ai_edge_litert.interpreter import Interpreter  # half a second

    # XNNPACK's kernels need half the time of cv2.dnn's
    interpreter = Interpreter(str(MODELS_DIR / file), num_threads=1)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    return interpreter, given, {detail["name"]: detail["index"] for detail in interpreter.get_output_details()}


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
