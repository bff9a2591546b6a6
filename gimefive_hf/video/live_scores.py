"""Scores and heat maps of crops in one pass, where the network allows it, as videos need them."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ..explain.cam import cam_from_features, cam_obstacle
from ..recognizer import ExpressionRecognizer


def score_and_explain(
    recognizer: ExpressionRecognizer,
    crops: Sequence[NDArray[np.uint8]],
    method: str | None = None,
    average_views: bool = True,
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """
    Probabilities float32 (n, classes), and for a method of `explain.METHODS` heat maps float32 (n, H, W) in [0, 1] of
    each crop's highest score. CAM and Grad-CAM cost nothing beside the scores where CAM is exact (`explain_cam`).

    Args:
        average_views: average the scores over the mirrored and zoomed crops that the model's config names, as for
            photos; False makes one pass. An ONNX file does what it was exported with.

    Raises:
        ValueError: for an unknown method or one that does not suit the network.
    """
    if not crops:
        none = np.zeros((0, len(recognizer.emotions)), np.float32)
        return none, None if method is None else np.zeros((0, 1, 1), np.float32)
    model = recognizer.model
    values = recognizer.pixel_values(crops)
    if hasattr(model, "score_and_map"):  # an ONNX file, which has no features to hook into
        return (probabilities(model(values).logits), None) if method is None else model.score_and_map(values, method)
    with torch.inference_mode():
        logits, features = model.classify(values)
        if average_views:
            logits = model.average_views(logits, values)
        scores = probabilities(logits)
        if method is None:
            return scores, None
        targets = scores.argmax(1).tolist()
        # Grad-CAM of "conv" networks reads a finer map than CAM does
        exact = method == "cam" or (method == "grad-cam" and model.config.architecture != "conv")
        if exact and cam_obstacle(model, features) is None:
            return scores, cam_from_features(model, features, targets, tuple(values.shape[-2:]))
    from ..explain import explain

    return scores, explain(model, values, method, targets)


def probabilities(logits: torch.Tensor) -> NDArray[np.float32]:
    """Softmax of logits (n, classes), in float32."""
    return logits.float().softmax(-1).cpu().numpy()
