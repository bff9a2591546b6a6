"""
Where a network looks: a file per method, and the parts of the face. Imports the model's files and `faces`, and torch
only when a map is asked for: `METHODS` and `scaling` serve without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .face import FaceExplanation, explain_face
    from .methods import explain, explain_classes, reported_classes

# Name on the command line → module and function. Each function takes (model, pixel_values, targets, **options), where
# targets is a list with one class index per image, and returns float32 (n, H, W) in [0, 1].
METHODS: dict[str, tuple[str, str]] = {
    "cam": ("cam", "cam"),
    "grad-cam": ("gradcam", "grad_cam"),
    "grad-cam++": ("gradcam", "grad_cam_plus_plus"),
    "score-cam": ("scorecam", "score_cam"),
    "layer-cam": ("gradcam", "layer_cam"),
    "occlusion": ("occlusion", "occlusion"),
    "activations": ("activations", "mean_activation"),
    "integrated-gradients": ("gradients", "integrated_gradients"),
    "saliency": ("gradients", "saliency"),
}

__all__ = ["METHODS", "FaceExplanation", "explain", "explain_classes", "explain_face", "reported_classes"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = ".face" if name in ("FaceExplanation", "explain_face") else ".methods"
    return getattr(import_module(home, __name__), name)
