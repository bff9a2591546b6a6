"""Where heat maps read a network: the layer of its last feature map, tokens as a map, and a copy safe to hook into."""

import copy

import numpy as np
from torch import Tensor, nn

from ..modeling_gimefive import GiMeFiveForImageClassification
from . import scaling


class SinglePass(nn.Module):
    """
    The network as one plain function (n, c, H, W) → logits (n, labels), to be hooked and differentiated at will.

    It shares the weights of `model` but none of its modules, and is in eval mode without gradients for parameters: so
    hooks on it see no other thread's images, and gradients reach feature maps without being computed for weights.
    """

    def __init__(self, model: GiMeFiveForImageClassification):
        super().__init__()
        shared: dict[int, Tensor] = {id(b): b for b in model.buffers()}
        shared |= {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in model.parameters()}
        self.model = copy.deepcopy(model, shared).eval()

    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.model.classify(pixel_values)[0]

    def cut_at(self, layer: nn.Module) -> None:
        """Let differentiation go back to the output of `layer` and no further, which is all that a CAM needs."""
        layer.register_forward_hook(lambda module, inputs, output: output.detach().requires_grad_())


def feature_layer(model: GiMeFiveForImageClassification) -> nn.Module:
    """
    The module whose output is the last feature map with a gradient at every place.

    That is `model.cam_layer`, but not for transformers which classify by their class token: after the last block no
    other token has any influence, so the norm before the last block's attention is taken.
    """
    network = model.gimefive.timm
    if network is not None and getattr(network, "global_pool", None) == "token" and hasattr(network, "blocks"):
        return network.blocks[-1].norm1
    return model.cam_layer


def reshape_transform(model: GiMeFiveForImageClassification, features: Tensor) -> Tensor:
    """
    Features of any layout as (n, c, h, w): convolutional maps as they are, maps with channels last turned, tokens
    (n, prefix + h·w, c) without their prefix (class and register tokens) and as a grid.

    Raises:
        ValueError: if the tokens are no grid.
    """
    network = model.gimefive.timm
    if features.ndim == 4:
        last = network is not None and getattr(network, "output_fmt", "NCHW") == "NHWC"
        return features.permute(0, 3, 1, 2) if last else features
    if features.ndim != 3:
        raise ValueError(f"expected features (n, c, h, w) or tokens (n, t, c); got {tuple(features.shape)}")
    tokens = features[:, getattr(network, "num_prefix_tokens", 0) :]
    height, width = token_grid(network, tokens.shape[1])
    return tokens.transpose(1, 2).unflatten(2, (height, width))


def token_grid(network: nn.Module | None, count: int) -> tuple[int, int]:
    """Rows and columns of `count` tokens: the patch grid if it has as many, else a square."""
    grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    if grid is not None and grid[0] * grid[1] == count:
        return tuple(grid)
    side = round(count**0.5)
    if side * side != count:
        raise ValueError(f"expected tokens that form the patch grid {grid} or a square; got {count}")
    return side, side


def scale_maps(maps: Tensor, size: tuple[int, int] | None = None) -> np.ndarray:
    """Maps (n, h, w) as `scaling.scale_maps` gives them, of their own size by default."""
    return scaling.scale_maps(maps.detach().float().cpu().numpy(), tuple(size or maps.shape[-2:]))
