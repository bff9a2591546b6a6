"""
GiMeFive: which of six expressions a face shows, how sure that is, and why.

Names are imported when they are first used (PEP 562), because torch and transformers cost seconds that reading
results or printing a help text need not pay.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .emotions import EMOTIONS
from .registration import register, register_if_loaded
from .version import __version__

if TYPE_CHECKING:
    from .bundled import resolve_checkpoint
    from .configuration_gimefive import GiMeFiveConfig
    from .explain.face import FaceExplanation, explain_face
    from .faces.cropping import FaceCrop, crop_face
    from .faces.detections import Detection
    from .faces.detector import FaceDetector, detect_faces
    from .faces.landmarks import landmarks_68
    from .image_processing_gimefive import GiMeFiveImageProcessor
    from .images.photos import load_image
    from .modeling_gimefive import GiMeFiveForImageClassification, GiMeFiveModel
    from .recognizer import ExpressionRecognizer, Face, from_pretrained
    from .runtimes.predictor import Predictor

# Name → module of this package that has it.
_HOMES = {
    "Detection": "faces.detections",
    "ExpressionRecognizer": "recognizer",
    "Face": "recognizer",
    "FaceCrop": "faces.cropping",
    "FaceDetector": "faces.detector",
    "FaceExplanation": "explain.face",
    "GiMeFiveConfig": "configuration_gimefive",
    "GiMeFiveForImageClassification": "modeling_gimefive",
    "GiMeFiveImageProcessor": "image_processing_gimefive",
    "GiMeFiveModel": "modeling_gimefive",
    "Predictor": "runtimes.predictor",
    "crop_face": "faces.cropping",
    "detect_faces": "faces.detector",
    "explain_face": "explain.face",
    "from_pretrained": "recognizer",
    "landmarks_68": "faces.landmarks",
    "load_image": "images.photos",
    "resolve_checkpoint": "bundled",
}

__all__ = [
    "EMOTIONS",
    "Detection",
    "ExpressionRecognizer",
    "Face",
    "FaceCrop",
    "FaceDetector",
    "FaceExplanation",
    "GiMeFiveConfig",
    "GiMeFiveForImageClassification",
    "GiMeFiveImageProcessor",
    "GiMeFiveModel",
    "Predictor",
    "__version__",
    "crop_face",
    "detect_faces",
    "explain_face",
    "from_pretrained",
    "landmarks_68",
    "load_image",
    "resolve_checkpoint",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name.startswith("GiMeFive") or name == "resolve_checkpoint":  # whose answer is for the Auto classes, too
        register()
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register_if_loaded()
