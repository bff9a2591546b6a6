"""
Makes the GiMeFive classes known to transformers' Auto classes, and their code part of what `save_pretrained` writes.

Called where one of the classes is first asked for (`gimefive_hf.GiMeFive…`, or loading a checkpoint with torch), and by
`import gimefive_hf` where the Auto classes are loaded already; that alone imports no transformers.
"""

import sys
from typing import Any

# All other Auto classes are built on this one module.
AUTO_CLASSES = "transformers.models.auto.configuration_auto"


def register_if_loaded() -> None:
    """Register if somebody has loaded transformers' Auto classes."""
    if AUTO_CLASSES in sys.modules:
        register()


def register() -> None:
    """Register the configuration, the models and the image processor. A second call changes nothing."""
    from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageClassification

    from .configuration_gimefive import GiMeFiveConfig
    from .image_processing_gimefive import GiMeFiveImageProcessor
    from .modeling_gimefive import GiMeFiveForImageClassification, GiMeFiveModel, GiMeFivePreTrainedModel

    GiMeFivePreTrainedModel.pusher = staticmethod(push_model)
    AutoConfig.register("gimefive", GiMeFiveConfig, exist_ok=True)
    AutoModel.register(GiMeFiveConfig, GiMeFiveModel, exist_ok=True)
    AutoModelForImageClassification.register(GiMeFiveConfig, GiMeFiveForImageClassification, exist_ok=True)
    AutoImageProcessor.register(
        GiMeFiveConfig, image_processor_classes={"torchvision": GiMeFiveImageProcessor}, exist_ok=True
    )

    # `save_pretrained` then copies the code beside the weights, so that a checkpoint loads without this package.
    GiMeFiveConfig.register_for_auto_class()
    GiMeFiveModel.register_for_auto_class("AutoModel")
    GiMeFiveForImageClassification.register_for_auto_class("AutoModelForImageClassification")
    GiMeFiveImageProcessor.register_for_auto_class("AutoImageProcessor")


def push_model(model: Any, repo_id: str, **options: Any) -> str:
    """`publishing.models.push_model`, imported when it is called."""
    from importlib import import_module

    return import_module("gimefive_hf.publishing.models").push_model(model, repo_id, **options)
