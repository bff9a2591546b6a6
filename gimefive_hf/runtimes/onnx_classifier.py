"""An exported network in onnxruntime, in the place of the torch model of an `ExpressionRecognizer`."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..configuration_gimefive import GiMeFiveConfig, resolve_checkpoint
from ..explain.layers import scale_maps
from ..image_processing_gimefive import GiMeFiveImageProcessor


@dataclass(frozen=True)
class OnnxOutput:
    """`logits` float32 (n, labels), already divided by the temperature."""

    logits: Tensor


class OnnxClassifier:
    """
    Args:
        path: an .onnx file of `gimefive export`, or a folder with a `model.onnx`, such as the bundled gimefive-fast.
        threads: of onnxruntime; None for as many as torch uses.

    Attributes:
        config: the model's configuration.
        processor: the preprocessing, rebuilt from the file's metadata.
        margin: side of the crop over the side of the face box.

    Raises:
        ValueError: if there is no such file or it is none of ours.
    """

    def __init__(self, path: str | Path, threads: int | None = None):
        import onnxruntime

        path = Path(resolve_checkpoint(path))
        path = path / "model.onnx" if path.is_dir() else path
        if path.suffix != ".onnx" or not path.is_file():
            raise ValueError(
                f"{path.name}: no such .onnx file; make one with `gimefive export -o FILE.onnx` and give it as --model"
            )
        self.path = path
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or torch.get_num_threads()
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions share no base class but this one
            raise ValueError(f"{path.name}: onnxruntime cannot load it ({type(error).__name__})") from None
        metadata = self._session.get_modelmeta().custom_metadata_map
        if "gimefive.config" not in metadata:
            raise ValueError(f"{path.name}: not made by `gimefive export`; its metadata lacks the preprocessing")
        self.config = GiMeFiveConfig.from_dict(json.loads(metadata["gimefive.config"]))
        self.processor = GiMeFiveImageProcessor.from_dict(json.loads(metadata["gimefive.preprocessing"]))
        self.margin = float(json.loads(metadata["gimefive.margin"]))
        self.precision = metadata["gimefive.precision"]
        self.has_maps = len(self._session.get_outputs()) == 2
        self.device, self.dtype = torch.device("cpu"), torch.float32

    def eval(self) -> "OnnxClassifier":
        """As it is: an exported network has no other mode."""
        return self

    def __call__(self, pixel_values: Tensor) -> OnnxOutput:
        """Logits of `pixel_values` float (n, c, h, w)."""
        return OnnxOutput(torch.from_numpy(self._run(pixel_values, ["logits"])[0]))

    def _run(self, pixel_values: Tensor, names: list[str]) -> list[NDArray[np.float32]]:
        return self._session.run(names, {"pixel_values": pixel_values.float().contiguous().numpy()})

    def score_and_map(self, pixel_values: Tensor, method: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """
        Probabilities (n, labels), and the heat maps float32 (n, H, W) in [0, 1] of the highest scores.

        Raises:
            ValueError: for another method than CAM and Grad-CAM, or if the network has no exact CAM.
        """
        if method not in ("cam", "grad-cam") or not self.has_maps:
            exact = "cam and grad-cam" if self.has_maps else "no heat maps, because CAM is not exact for this network"
            raise ValueError(f"an ONNX file gives {exact}; use the torch backend for {method}")
        logits, maps = (torch.from_numpy(array) for array in self._run(pixel_values, ["logits", "maps"]))
        scores = logits.softmax(-1)
        chosen = maps[torch.arange(len(maps)), scores.argmax(1)].relu()
        return scores.numpy(), scale_maps(chosen, tuple(pixel_values.shape[-2:]))
