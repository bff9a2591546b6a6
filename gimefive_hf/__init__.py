"""GiMeFive: which of six expressions a face shows, how sure that is, and why."""

from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageClassification

from .configuration_gimefive import EMOTIONS, GiMeFiveConfig
from .faces import Detection, FaceCrop, FaceDetector, crop_face, detect_faces
from .image_processing_gimefive import GiMeFiveImageProcessor
from .images import load_image
from .landmarks import landmarks_68
from .modeling_gimefive import GiMeFiveForImageClassification, GiMeFiveModel
from .recognizer import ExpressionRecognizer, Face, from_pretrained
from .version import __version__

AutoConfig.register("gimefive", GiMeFiveConfig)
AutoModel.register(GiMeFiveConfig, GiMeFiveModel)
AutoModelForImageClassification.register(GiMeFiveConfig, GiMeFiveForImageClassification)
AutoImageProcessor.register(GiMeFiveConfig, GiMeFiveImageProcessor)

# `save_pretrained` then copies the code beside the weights, so that a checkpoint loads without this package.
GiMeFiveConfig.register_for_auto_class()
GiMeFiveModel.register_for_auto_class("AutoModel")
GiMeFiveForImageClassification.register_for_auto_class("AutoModelForImageClassification")
GiMeFiveImageProcessor.register_for_auto_class("AutoImageProcessor")

__all__ = [
    "EMOTIONS",
    "Detection",
    "ExpressionRecognizer",
    "Face",
    "FaceCrop",
    "FaceDetector",
    "GiMeFiveConfig",
    "GiMeFiveForImageClassification",
    "GiMeFiveImageProcessor",
    "GiMeFiveModel",
    "__version__",
    "crop_face",
    "detect_faces",
    "from_pretrained",
    "landmarks_68",
    "load_image",
]
