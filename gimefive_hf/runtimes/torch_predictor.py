"""A network in torch."""

import hashlib
import json
import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..explain import METHODS
from ..explain.cam import cam_from_features, cam_obstacle
from ..image_processing_gimefive import GiMeFiveImageProcessor
from ..loading import load_checkpoint
from ..modeling_gimefive import GiMeFiveForImageClassification
from .predictor import Crops, check_method

# A fork copies no threads: torch would wait for ever for those with which this process has computed. One thread waits
# for nobody, as in the workers of torch's own DataLoader.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


class TorchPredictor:
    """
    A `Predictor`.

    Args:
        model: brought to eval mode; on whatever device and in whatever type it is.
        processor: its image processor.
        autocast: compute in bfloat16 where that costs little precision, with weights as they are.
    """

    backend = "torch"

    def __init__(
        self,
        model: GiMeFiveForImageClassification,
        processor: GiMeFiveImageProcessor,
        autocast: bool = False,
    ):
        self.model = model.eval()
        self.processor = processor
        self.autocast = autocast
        self.emotions = tuple(model.config.id2label[index] for index in range(model.config.num_labels))
        self.side = model.config.image_size
        self.map_methods = tuple(METHODS)

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, **kwargs: Any) -> Self:
        """
        Load model and processor: the name of a checkpoint in the package, a folder, or a Hub id.

        Further arguments go to transformers' `from_pretrained` of the model, such as `revision` or `token`.

        Raises:
            ValueError: if there is no such model, or it is not whole.
        """
        return cls(*load_checkpoint(name_or_path, **kwargs))

    @property
    def precision(self) -> str:
        """Of the computation: "bf16" or "fp32"."""
        return "bf16" if self.autocast or self.model.dtype == torch.bfloat16 else "fp32"

    @property
    def threshold(self) -> float:
        """The config's; it may be changed there."""
        return self.model.config.confidence_threshold or 0.0

    def prepare(self, crops: Crops) -> NDArray[np.float32]:
        # crops of one size are resized and normalised as one array
        options = {"return_tensors": "pt", "input_data_format": "channels_last", "disable_grouping": False}
        return self.processor(list(crops), **options)["pixel_values"].numpy()

    def pixel_values(self, crops: Crops) -> Tensor:
        """The input as a tensor on the model's device and in its type, for heat maps."""
        return self._on_device(self.prepare(crops))

    def logits(self, inputs: NDArray[np.float32], average_views: bool = True) -> NDArray[np.float32]:
        """Float32 (n, classes), already divided by the temperature."""
        with torch.inference_mode(), self._casting():
            return self._pass(self._on_device(inputs), average_views)[0].float().cpu().numpy()

    def predict(self, inputs: NDArray[np.float32], average_views: bool = True) -> NDArray[np.float32]:
        return torch.from_numpy(self.logits(inputs, average_views)).softmax(-1).numpy()

    def predict_and_explain(
        self, inputs: NDArray[np.float32], method: str, average_views: bool = True
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """CAM and Grad-CAM cost nothing beside the scores where CAM is exact (`explain.cam`)."""
        check_method(self, method)
        with torch.inference_mode(), self._casting():
            values = self._on_device(inputs)
            logits, features = self._pass(values, average_views)
            scores = logits.float().softmax(-1).cpu().numpy()
            targets = scores.argmax(1).tolist()
            # Grad-CAM of "conv" networks reads a finer map than CAM does
            exact = method == "cam" or (method == "grad-cam" and self.model.config.architecture != "conv")
            if exact and cam_obstacle(self.model, features) is None:
                return scores, cam_from_features(self.model, features, targets, tuple(values.shape[-2:]))
        from ..explain import explain

        return scores, explain(self.model, self._on_device(inputs), method, targets)

    def fingerprint(self) -> str:
        values = self.model.config.to_dict()
        config = {
            name: value for name, value in values.items() if name not in ("_name_or_path", "transformers_version")
        }
        facts = [config, self.processor.to_dict(), str(self.model.dtype), self.precision]
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode())
        for name, tensor in self.model.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    def use_threads(self, count: int) -> int:
        before = torch.get_num_threads()  # of this thread: OpenMP keeps a number for each
        torch.set_num_threads(count)
        return before

    def _pass(self, values: Tensor, average_views: bool) -> tuple[Tensor, Any]:
        """Logits, and the feature extractor's output for the images as they are."""
        logits, features = self.model.classify(values)
        return self.model.average_views(logits, values) if average_views else logits, features

    def _on_device(self, inputs: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(inputs).to(self.model.device, self.model.dtype)

    def _casting(self) -> AbstractContextManager:
        return torch.autocast(self.model.device.type, torch.bfloat16) if self.autocast else nullcontext()
