"""Scores and heat maps of crops in one pass, where the network allows it, as videos need them."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from .explain_cam import cam_from_features, cam_obstacle
from .recognizer import ExpressionRecognizer


def score_and_explain(
    recognizer: ExpressionRecognizer, crops: Sequence[NDArray[np.uint8]], method: str | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """
    Probabilities float32 (n, classes), and for a method of `explain.METHODS` heat maps float32 (n, H, W) in [0, 1] of
    each crop's highest score. CAM and Grad-CAM cost nothing beside the scores where CAM is exact (`explain_cam`).

    Raises:
        ValueError: for an unknown method or one that does not suit the network.
    """
    if not crops:
        none = np.zeros((0, len(recognizer.emotions)), np.float32)
        return none, None if method is None else np.zeros((0, 1, 1), np.float32)
    model = recognizer.model
    values = recognizer.pixel_values(crops)
    if method is None:
        with torch.inference_mode():
            return model(values).logits.float().softmax(-1).cpu().numpy(), None
    if hasattr(model, "score_and_map"):  # an ONNX file, which has no features to hook into
        return model.score_and_map(values, method)
    # Grad-CAM of "conv" networks reads a finer map than CAM does
    if method == "cam" or (method == "grad-cam" and model.config.architecture != "conv"):
        with torch.inference_mode():
            logits, features = model.classify(values)
            if cam_obstacle(model, features) is None:
                if model.config.flip_average:
                    logits = (logits + model.classify(values.flip(-1))[0]) / 2
                scores = logits.float().softmax(-1)
                heat = cam_from_features(model, features, scores.argmax(1).tolist(), tuple(values.shape[-2:]))
                return scores.cpu().numpy(), heat
    from .explain import explain

    with torch.inference_mode():
        scores = model(values).logits.float().softmax(-1)
    return scores.cpu().numpy(), explain(model, values, method, scores.argmax(1).tolist())
