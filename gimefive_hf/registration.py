"""
Makes the GiMeFive classes known to transformers' Auto classes, without importing transformers for it.

`import gimefive_hf` is enough for `AutoModel.from_pretrained(FOLDER)`, in whichever order the two are imported: if
transformers' Auto classes are not there yet, the import system tells us when they are.
"""

import sys
import threading
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

# All other Auto classes are built on this one module.
AUTO_CLASSES = "transformers.models.auto.configuration_auto"


def register_when_needed() -> None:
    """Register now if transformers' Auto classes are loaded, else as soon as they are."""
    if AUTO_CLASSES in sys.modules:
        register()
    else:
        sys.meta_path.insert(0, _ImportWatch())


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


def push_model(model, repo_id: str, **options) -> str:
    """`publishing.models.push_model`, imported when it is called."""
    from importlib import import_module

    return import_module("gimefive_hf.publishing.models").push_model(model, repo_id, **options)


class _ImportWatch:
    """
    Registers once the Auto classes are loaded and no module of transformers or of ours is half-way through its import:
    our classes need them, and they need each other.

    A finder of the import system by what it does: its abstract base class takes longer to import than all of this.
    """

    def __init__(self) -> None:
        self._under_way = 0
        self._lock = threading.Lock()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that Python would find, for modules of transformers and of ours, with their execution watched."""
        if fullname.split(".")[0] not in ("transformers", __package__):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def watched(module: ModuleType) -> None:
            with self._lock:
                self._under_way += 1
            try:
                execute(module)
            finally:
                with self._lock:
                    self._under_way -= 1
            self._register_if_ready()

        spec.loader.exec_module = watched  # type: ignore[method-assign]
        return spec

    def _register_if_ready(self) -> None:
        with self._lock:
            if self._under_way or AUTO_CLASSES not in sys.modules or self not in sys.meta_path:
                return
            sys.meta_path.remove(self)
        register()
