"""What every runtime of a network has in common: crops in, probabilities out, heat maps where it can."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

# Aligned crops, each uint8 RGB (height, width, 3) of any size; an array (n, height, width, 3) is a sequence of them.
Crops = Sequence[NDArray[np.uint8]] | NDArray[np.uint8]


@runtime_checkable
class Predictor(Protocol):
    """A network on some runtime, with the facts that its users need."""

    @property
    def backend(self) -> str:
        """What computes: "torch" or "onnx"."""
        ...

    @property
    def precision(self) -> str:
        """Of the computation: "fp32", "bf16" or "int8"."""
        ...

    @property
    def emotions(self) -> tuple[str, ...]:
        """Its classes in the order of its probabilities."""
        ...

    @property
    def threshold(self) -> float:
        """Confidence under which no expression is clear; 0 for a network that always answers."""
        ...

    @property
    def side(self) -> int:
        """Side of the square it sees, in pixels."""
        ...

    @property
    def map_methods(self) -> tuple[str, ...]:
        """Methods of `explain.METHODS` that `predict_and_explain` can be asked for."""
        ...

    def prepare(self, crops: Crops) -> NDArray[np.float32]:
        """The network's input (n, channels, side, side) for n > 0 crops; slices of it may be given to `predict`."""
        ...

    def predict(self, inputs: NDArray[np.float32], average_views: bool = True) -> NDArray[np.float32]:
        """
        Probabilities float32 (n, classes) of inputs as `prepare` gives them.

        Args:
            average_views: average over the mirrored and zoomed images that the model's config names, as for photos;
                False makes one pass.
        """
        ...

    def predict_and_explain(
        self, inputs: NDArray[np.float32], method: str, average_views: bool = True
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """
        `predict`, and heat maps float32 (n, side, side) in [0, 1] of each crop's highest probability.

        Raises:
            ValueError: for a method that is not among `map_methods` or does not suit the network.
        """
        ...

    def fingerprint(self) -> str:
        """Hexadecimal sha256 of what decides the probabilities: weights, config, preprocessing, precision."""
        ...

    def use_threads(self, count: int) -> int:
        """Let calls from this thread compute with `count` threads where the runtime can; returns what it was."""
        ...


def predict_crops(
    predictor: Predictor, crops: Crops, batch_size: int = 64, average_views: bool = True
) -> NDArray[np.float32]:
    """Probabilities float32 (n, classes) of any number of crops, `batch_size` of them in a pass."""
    rows = [np.zeros((0, len(predictor.emotions)), np.float32)]
    for start in range(0, len(crops), batch_size):
        rows.append(predictor.predict(predictor.prepare(crops[start : start + batch_size]), average_views))
    return np.concatenate(rows)


def predict_and_explain_crops(
    predictor: Predictor, crops: Crops, method: str | None = None, average_views: bool = True
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """
    Probabilities of crops in one pass, and their heat maps if a method is named, as videos need them.

    Raises:
        ValueError: as `Predictor.predict_and_explain` does.
    """
    if method is None:
        return predict_crops(predictor, crops, max(1, len(crops)), average_views), None
    check_method(predictor, method)
    if not len(crops):
        return np.zeros((0, len(predictor.emotions)), np.float32), np.zeros((0, 1, 1), np.float32)
    return predictor.predict_and_explain(predictor.prepare(crops), method, average_views)


def check_method(predictor: Predictor, method: str) -> None:
    """Raise ValueError if the predictor gives no heat maps by this method."""
    if method in predictor.map_methods:
        return
    known = ", ".join(predictor.map_methods)
    raise ValueError(
        f"no heat maps by {method!r} from this runtime of the network: it gives {known}; others need the torch backend"
        if known
        else f"no heat maps by {method!r} from this runtime of the network: it gives none; use the torch backend"
    )


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """Probabilities float32 (n, classes) of logits (n, classes)."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
