"""
Face-identity weights for the flagship's start, out of the npm package @vladmandic/face-api (MIT).

    npm pack @vladmandic/face-api@1.7.15 && tar xzf vladmandic-face-api-1.7.15.tgz
    # model = GiMeFiveForImageClassification(face_resnet_config()); load_face_identity(model, "package/model", crops)

The network is dlib's 29-layer face recognition network (King 2017, CC0) as quantised for face-api.js.
"""

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from gimefive_hf.configuration_gimefive import GiMeFiveConfig
from gimefive_hf.modeling_gimefive import GiMeFiveForImageClassification

# RGB means that the network subtracts before it divides by 255.
IDENTITY_MEAN = (122.782 / 255, 117.001 / 255, 104.298 / 255)
IDENTITY_STD = (1.0, 1.0, 1.0)

# Names of the blocks in the package, in the order of our stages.
BLOCKS = (
    ("conv32_1", "conv32_2", "conv32_3"),
    ("conv64_down", "conv64_1", "conv64_2", "conv64_3"),
    ("conv128_down", "conv128_1", "conv128_2"),
    ("conv256_down", "conv256_1", "conv256_2"),
    ("conv256_down_out",),
)


def face_resnet_config(strides: tuple[int, ...] = (1, 2, 2, 2, 1), **kwargs) -> GiMeFiveConfig:
    """The flagship's network. The last stage keeps its resolution, so that heat maps are 4×4 rather than 2×2."""
    return GiMeFiveConfig(
        architecture="face-resnet",
        image_size=112,
        widths=[32, 64, 128, 256, 256],
        depths=[len(names) for names in BLOCKS],
        strides=list(strides),
        classifier_widths=[],
        **kwargs,
    )


def read_weights(folder: str | Path, name: str = "face_recognition_model") -> dict[str, np.ndarray]:
    """Read the model `name` of the package into float32 arrays; uint8 tensors are scale · value + minimum."""
    folder = Path(folder)
    manifest = folder / f"{name}-weights_manifest.json"
    if not manifest.is_file():
        raise FileNotFoundError(f"no {manifest.name} in {folder}; unpack the npm package @vladmandic/face-api there")
    data = (folder / f"{name}.bin").read_bytes()
    weights, offset = {}, 0
    for group in json.loads(manifest.read_text()):
        for entry in group["weights"]:
            quantization = entry.get("quantization")
            dtype = np.dtype(quantization["dtype"] if quantization else entry["dtype"])
            count = int(np.prod(entry["shape"]))
            values = np.frombuffer(data, dtype, count, offset).astype(np.float32)
            offset += count * dtype.itemsize
            if quantization:
                values = values * np.float32(quantization["scale"]) + np.float32(quantization["min"])
            weights[entry["name"]] = values.reshape(entry["shape"])
    if offset != len(data):
        raise ValueError(f"{folder}: the manifest describes {offset} bytes, the file has {len(data)}")
    return weights


def paired_layers(model: GiMeFiveForImageClassification) -> list[tuple[str, nn.Conv2d, nn.BatchNorm2d]]:
    """Every convolution of the network with its batch norm and its name in the package, in forward order."""
    stem, *stages = model.gimefive.stages
    layers = [("conv32_down", stem.conv, stem.norm)]
    for names, stage in zip(BLOCKS, stages, strict=True):
        for name, block in zip(names, stage.blocks, strict=True):
            layers.append((f"{name}/conv1", block.conv1, block.norm1))
            layers.append((f"{name}/conv2", block.conv2, block.norm2))
    return layers


@torch.no_grad()
def load_face_identity(model: GiMeFiveForImageClassification, folder: str | Path, pixel_values: Tensor) -> None:
    """
    Put the weights into `model`, in place; its classifier keeps its own.

    The package has a scale and a bias per channel where our network has a batch norm. The mean and variance of each
    layer are measured once on `pixel_values` (n, 3, h, w), a few hundred normalised real crops, and folded in, so
    that in eval mode the network computes with the package's numbers, and in train mode it starts close to that. Its
    maps are not the package's: here strided convolutions are padded, which moves their grid by a pixel.
    """
    weights = read_weights(folder)
    layers = paired_layers(model)
    for name, conv, norm in layers:
        filters = torch.from_numpy(weights[f"{name}/conv/filters"]).permute(3, 2, 0, 1)
        assert filters.shape == conv.weight.shape, (name, filters.shape, conv.weight.shape)
        conv.weight.copy_(filters)
        scale, bias = (torch.from_numpy(weights[f"{name}/scale/{part}"]) for part in ("weights", "biases"))
        norm.running_mean.zero_()
        norm.running_var.fill_(1 - norm.eps)  # identity, so that the affine part below is the package's
        norm.weight.copy_(scale)
        norm.bias.copy_(bias + scale * torch.from_numpy(weights[f"{name}/conv/bias"]))
    moments: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def measure(norm: nn.Module, inputs: tuple[Tensor]) -> None:
        moments[norm] = (inputs[0].mean((0, 2, 3)), inputs[0].var((0, 2, 3)))

    hooks = [norm.register_forward_pre_hook(measure) for _, _, norm in layers]
    model.eval().gimefive(pixel_values)
    for hook in hooks:
        hook.remove()
    for _, _, norm in layers:
        mean, variance = moments[norm]
        norm.bias.add_(norm.weight * mean)
        norm.weight.mul_((variance + norm.eps).sqrt())
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
