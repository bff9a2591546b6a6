"""The network as an ONNX file for onnxruntime, in fp32 or int8, with all that is needed to use it in its metadata."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..explain.cam import cam_obstacle, linear_weights
from ..explain.layers import reshape_transform
from ..modeling_gimefive import GiMeFiveForImageClassification
from ..tables import check_output, whole_file
from ..version import __version__
from .half_weights import store_half
from .torch_predictor import TorchPredictor

OPSET = 18


class ExportedNetwork(nn.Module):
    """
    `pixel_values` (n, c, h, w) → `logits` (n, labels) of one pass, divided by the temperature; where CAM is exact also
    `maps` (n, labels, h', w'): what each place adds to each class (`explain.cam`).

    Whoever runs the file averages the logits over the views that the config names: so one file serves photos, which are
    worth six passes, and videos, which are not.
    """

    def __init__(self, model: GiMeFiveForImageClassification, example: Tensor):
        super().__init__()
        self.model = model
        self.eval()
        with torch.no_grad():
            self.has_maps = cam_obstacle(model, model.classify(example)[1]) is None

    def forward(self, pixel_values: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        logits, features = self.model.classify(pixel_values)
        if not self.has_maps:
            return logits
        maps = reshape_transform(self.model, features.last_hidden_state)
        return logits, torch.einsum("nchw,lc->nlhw", maps, linear_weights(self.model))


def export_onnx(
    predictor: TorchPredictor,
    output: str | Path,
    calibration: Callable[[], Iterator[NDArray[np.float32]]] | None = None,
) -> None:
    """
    Write an .onnx file.

    Args:
        predictor: its model and processor are exported.
        calibration: for int8: gives batches of real inputs (n, c, h, w), as `prepare` makes them, from which the
            ranges of the activations are taken; None exports fp32.

    Raises:
        ValueError: if the output cannot be written.
    """
    output = Path(output)
    check_output(output, (".onnx",))
    model = predictor.model
    side = model.config.image_size
    example = torch.zeros(2, model.config.num_channels, side, side)
    with whole_file(output) as part, TemporaryDirectory() as scratch:
        plain = part if calibration is None else Path(scratch) / "fp32.onnx"
        write_graph(ExportedNetwork(model, example), example, plain)
        if calibration is not None:
            quantize(plain, part, calibration)
        finish(part, predictor, "fp32" if calibration is None else "int8")


def write_graph(network: ExportedNetwork, example: Tensor, path: Path) -> None:
    """One file, with any batch size."""
    with torch.no_grad():
        torch.onnx.export(
            network,
            (example,),
            str(path),
            dynamo=True,
            external_data=False,
            opset_version=OPSET,
            input_names=["pixel_values"],
            output_names=["logits", "maps"] if network.has_maps else ["logits"],
            dynamic_shapes={"pixel_values": {0: torch.export.Dim("n", min=1, max=65536)}},
            verbose=False,
        )


def quantize(source: Path, target: Path, calibration: Callable[[], Iterator[NDArray[np.float32]]]) -> None:
    """
    Static quantisation of convolutions and linear layers: weights int8 per channel, activations uint8 per tensor. It
    leaves a file beside `source`.

    Uint8 times int8 is what the processors' dot-product instructions take. Processors without them add two such
    products in 16 bits, where weights of 8 bits overflow; those of 7 bits (`reduce_range`) cannot, so that the file
    says the same everywhere (training/LOG.md has the figures). A convolution and its ReLU are quantised as one;
    rounding between them as well, over a range half of which the ReLU cuts off, made scores jump by 0.03 for a face
    that had moved by a thousandth of a pixel. What follows the last convolution stays in floating point: it costs
    nothing, and errors there go straight into the logits and maps.
    """
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._batches = calibration()

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            batch = next(self._batches, None)
            return None if batch is None else {"pixel_values": batch}

    prepared = source.with_suffix(".prepared")
    quant_pre_process(str(source), str(prepared))
    quantize_static(
        str(prepared),
        str(target),
        Reader(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "Relu"],
        per_channel=True,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
    )


def finish(path: Path, predictor: TorchPredictor, precision: str) -> None:
    """
    Configuration and preprocessing as JSON under keys that begin with "gimefive."; weights in half precision where
    that changes nothing. How a face is cropped is no fact of the network: `faces.cropping` tells it.

    What the exporter noted about where each node comes from is taken out: it has paths of this machine.
    """
    import onnx

    file = onnx.load(str(path))
    for part in (file.graph, *file.graph.node, *file.graph.value_info, *file.graph.input, *file.graph.output):
        del part.metadata_props[:]
        part.ClearField("doc_string")
    model = predictor.model
    if precision == "fp32":
        store_half(file.graph, {name: value.numpy() for name, value in model.state_dict().items()})
    values = {
        "gimefive.version": __version__,
        "gimefive.precision": precision,
        "gimefive.config": model.config.to_json_string(),
        "gimefive.views": "outside",  # files without this key average over the views of the config themselves
        "gimefive.labels": json.dumps(predictor.emotions),
        "gimefive.preprocessing": predictor.processor.to_json_string(),
    }
    onnx.helper.set_model_props(file, values)
    onnx.save(file, str(path))
