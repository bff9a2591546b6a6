"""The GiMeFive networks: feature extractor, and the same with a classifier for the six expressions."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import (
    BaseModelOutputWithPoolingAndNoAttention,
    ImageClassifierOutputWithNoAttention,
)

from .bundled import resolve_checkpoint
from .configuration_gimefive import GiMeFiveConfig


class SqueezeExcitation(nn.Module):
    """Channel attention, x · σ(W₂ ReLU(W₁ mean(x))) without biases (Hu et al. 2018)."""

    def __init__(self, width: int, reduction: int):
        super().__init__()
        self.squeeze = nn.Linear(width, max(1, width // reduction), bias=False)
        self.excite = nn.Linear(max(1, width // reduction), width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.excite(self.squeeze(x.mean(dim=(2, 3))).relu()).sigmoid()  # (batch, width)
        return x * gate[:, :, None, None]


class ConvBlock(GradientCheckpointingLayer):
    """3×3 convolutions with an activation, then 2×2 max-pool: (batch, c, h, w) → (batch, width, h/2, w/2)."""

    def __init__(self, config: GiMeFiveConfig, stage: int, in_channels: int):
        super().__init__()
        width = config.widths[stage]
        depth = config.depths[stage] if config.depths else 1
        channels = [in_channels] + [width] * depth
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in pairwise(channels))
        count = 0 if not config.batch_norm else 1 if config.share_batch_norm else depth
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(count))
        self.activation = ACT2FN[config.hidden_act]
        # Also the place where a class activation map reads the features: after the last activation, before the pooling.
        self.features = SqueezeExcitation(width, config.se_reduction) if stage in config.se_stages else nn.Identity()
        self.pool = nn.MaxPool2d(2)
        last = stage == len(config.widths) - 1
        self.dropout = nn.Identity() if last else nn.Dropout(config.pool_dropout)

    def forward(self, x: Tensor) -> Tensor:
        for index, conv in enumerate(self.convs):
            x = conv(x)
            if self.norms:
                x = self.norms[min(index, len(self.norms) - 1)](x)
            x = self.activation(x)
        return self.dropout(self.pool(self.features(x)))


class ResidualStem(GradientCheckpointingLayer):
    """Convolution, batch norm, ReLU and squeeze-and-excitation at full resolution."""

    def __init__(self, config: GiMeFiveConfig):
        super().__init__()
        self.conv = nn.Conv2d(config.num_channels, config.widths[0], 3, padding=1)
        self.norm = nn.BatchNorm2d(config.widths[0])
        self.se = SqueezeExcitation(config.widths[0], config.se_reduction) if 0 in config.se_stages else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.se(self.norm(self.conv(x)).relu())


class ResidualBlock(GradientCheckpointingLayer):
    """Two 3×3 convolutions beside a 1×1 shortcut, both of stride 2: (batch, c, h, w) → (batch, width, h/2, w/2)."""

    def __init__(self, config: GiMeFiveConfig, stage: int):
        super().__init__()
        in_channels, width = config.widths[stage - 1], config.widths[stage]
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride=2, padding=1)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Conv2d(in_channels, width, 1, stride=2)
        self.shortcut_norm = nn.BatchNorm2d(width)
        self.se = SqueezeExcitation(width, config.se_reduction) if stage in config.se_stages else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm2(self.conv2(self.norm1(self.conv1(x)).relu()))
        return self.se(out + self.shortcut_norm(self.shortcut(x))).relu()


class FaceStem(GradientCheckpointingLayer):
    """7×7 convolution of stride 2 and 3×3 max-pool of stride 2: (batch, c, h, w) → (batch, width, h/4, w/4)."""

    def __init__(self, config: GiMeFiveConfig):
        super().__init__()
        self.conv = nn.Conv2d(config.num_channels, config.widths[0], 7, stride=2, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(config.widths[0])
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.norm(self.conv(x)).relu())


class FaceResidualBlock(nn.Module):
    """
    Residual block of dlib's face network: the shortcut has no weights; where the resolution falls it is average-pooled,
    where channels are added it is padded with zeros.
    """

    def __init__(self, in_channels: int, width: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        # ceil_mode: a padded convolution of stride 2 rounds odd sides up, and the shortcut must match it.
        pool = nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False)
        self.pool = nn.Identity() if stride == 1 else pool

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm2(self.conv2(self.norm1(self.conv1(x)).relu()))
        shortcut = self.pool(x)
        missing = out.shape[1] - shortcut.shape[1]
        if missing:
            shortcut = nn.functional.pad(shortcut, (0, 0, 0, 0, 0, missing))
        return (out + shortcut).relu()


class FaceStage(GradientCheckpointingLayer):
    """A run of `FaceResidualBlock`s of one width, the first of which may reduce the resolution."""

    def __init__(self, config: GiMeFiveConfig, stage: int):
        super().__init__()
        width = config.widths[stage]
        first = config.widths[max(stage - 1, 0)]
        depth = config.depths[stage] if config.depths else 1
        stride = config.strides[stage] if config.strides else 1
        self.blocks = nn.Sequential(
            *(FaceResidualBlock(width if i else first, width, 1 if i else stride) for i in range(depth))
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x)


def build_stages(config: GiMeFiveConfig) -> nn.ModuleList:
    """The stages of one of our own architectures, to be applied one after the other."""
    numbers = range(len(config.widths))
    if config.architecture == "conv":
        inputs = [config.num_channels, *config.widths]
        return nn.ModuleList(ConvBlock(config, stage, inputs[stage]) for stage in numbers)
    if config.architecture == "residual":
        return nn.ModuleList([ResidualStem(config), *(ResidualBlock(config, stage) for stage in numbers[1:])])
    assert config.architecture == "face-resnet", config.architecture
    return nn.ModuleList([FaceStem(config), *(FaceStage(config, stage) for stage in numbers)])


def build_timm(config: GiMeFiveConfig) -> nn.Module:
    """A timm model without its classifier. Raises ImportError without timm, RuntimeError for an unknown name."""
    try:  # the try keeps transformers' import check from demanding timm of every user of a copied checkpoint
        import timm
    except ImportError as error:
        raise ImportError(f"timm_model={config.timm_model!r} needs timm: pip install timm") from error
    arguments = {"num_classes": 0, "in_chans": config.num_channels, **(config.timm_kwargs or {})}
    return timm.create_model(config.timm_model, pretrained=False, **arguments)


class GiMeFivePreTrainedModel(PreTrainedModel):
    config: GiMeFiveConfig
    config_class = GiMeFiveConfig
    base_model_prefix = "gimefive"
    main_input_name = "pixel_values"
    input_modalities = ("image",)
    supports_gradient_checkpointing = True
    _no_split_modules = ["ConvBlock", "ResidualBlock", "FaceStage"]

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, *args, **kwargs):
        """As in transformers; the names of `BUNDLED` stand for the checkpoints in the package, if it is there."""
        return super().from_pretrained(resolve_checkpoint(pretrained_model_name_or_path), *args, **kwargs)

    # What `push_to_hub` calls instead of transformers' own way, which leaves out the preprocessing and writes an empty
    # card. The package `gimefive_hf` sets it; the code beside a checkpoint stands alone.
    pusher: Any = None

    def push_to_hub(self, repo_id, **kwargs):
        """Push weights, code, preprocessing, ONNX files and card; `private`, `token` as in transformers."""
        pusher = type(self).pusher
        return super().push_to_hub(repo_id, **kwargs) if pusher is None else pusher(self, repo_id, **kwargs)

    def save_pretrained(self, save_directory, **kwargs):
        """As in transformers; the configuration also tells `AutoModel` where the feature extractor's code is."""
        if self._auto_class is not None:
            self.config.auto_map = (getattr(self.config, "auto_map", None) or {}) | {
                "AutoModel": "modeling_gimefive.GiMeFiveModel"
            }
        return super().save_pretrained(save_directory, **kwargs)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            init.kaiming_uniform_(module.weight, a=5**0.5)
            if module.bias is not None:
                bound = module.in_features**-0.5
                init.uniform_(module.bias, -bound, bound)
        else:
            super()._init_weights(module)  # norms and their running statistics
        if hasattr(module, "init_non_persistent_buffers"):  # timm's tables that no checkpoint holds
            module.init_non_persistent_buffers()


class GiMeFiveModel(GiMeFivePreTrainedModel):
    """The feature extractor: images → feature map and pooled features."""

    def __init__(self, config: GiMeFiveConfig):
        super().__init__(config)
        self.timm = build_timm(config) if config.architecture == "timm" else None
        self.stages = nn.ModuleList() if self.timm is not None else build_stages(config)
        # Where class activation maps of a timm model read the features.
        self.features = nn.Identity()
        self.post_init()

    @property
    def num_features(self) -> int:
        """Width of the pooled features."""
        if self.timm is not None:
            return getattr(self.timm, "head_hidden_size", None) or self.timm.num_features
        width = self.config.widths[-1]
        if self.config.pooling == "avg":
            return width
        side = self.config.image_size >> len(self.config.widths)
        return width * side * side

    @property
    def cam_layer(self) -> nn.Module:
        """The module whose output is the last convolutional feature map, after its activation, before any pooling."""
        if self.timm is not None:
            return self.features
        return self.stages[-1].features if self.config.architecture == "conv" else self.stages[-1]

    def forward(
        self,
        pixel_values: Tensor,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> BaseModelOutputWithPoolingAndNoAttention | tuple:
        """
        Args:
            pixel_values: float (batch, channels, height, width), as the image processor gives them.
            output_hidden_states: also return the input of the first stage and the output of each stage (own
                architectures), or input and last feature map (timm).

        Returns:
            `last_hidden_state` (batch, c, h, w), or (batch, tokens, c); `pooler_output` (batch, features).
        """
        if pixel_values.ndim != 4 or pixel_values.shape[1] != self.config.num_channels:
            raise ValueError(
                f"expected pixel_values of shape (batch, {self.config.num_channels}, height, width); "
                f"got {tuple(pixel_values.shape)}"
            )
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        return_dict = self.config.return_dict if return_dict is None else return_dict
        hidden_states = [pixel_values]
        if self.timm is not None:
            hidden_states.append(self.features(self.timm.forward_features(pixel_values)))
            pooled = self.timm.forward_head(hidden_states[-1], pre_logits=True)
        else:
            for stage in self.stages:
                hidden_states.append(stage(hidden_states[-1]))
            last = hidden_states[-1]
            pooled = last.mean(dim=(2, 3)) if self.config.pooling == "avg" else last.flatten(1)
        output = BaseModelOutputWithPoolingAndNoAttention(
            last_hidden_state=hidden_states[-1],
            pooler_output=pooled,
            hidden_states=tuple(hidden_states) if output_hidden_states else None,
        )
        return output if return_dict else output.to_tuple()


class GiMeFiveForImageClassification(GiMeFivePreTrainedModel):
    """Images → logits of the expressions in `config.id2label`."""

    def __init__(self, config: GiMeFiveConfig):
        super().__init__(config)
        self.num_labels = config.num_labels
        self.gimefive = GiMeFiveModel(config)
        self.classifier = build_classifier(config, self.gimefive.num_features)
        self.post_init()

    @property
    def cam_layer(self) -> nn.Module:
        """See `GiMeFiveModel.cam_layer`."""
        return self.gimefive.cam_layer

    def classify(self, pixel_values: Tensor, output_hidden_states: bool | None = None):
        """One pass: logits (batch, labels), and the feature extractor's output."""
        features = self.gimefive(pixel_values, output_hidden_states=output_hidden_states, return_dict=True)
        return self.classifier(features.pooler_output) / self.config.temperature, features

    def average_views(self, logits: Tensor, pixel_values: Tensor) -> Tensor:
        """
        Test-time augmentation: the mean of `logits`, those of `pixel_values` as they are, and of the logits of the
        zoomed and mirrored images that the config names; (batch, labels).
        """
        views = [zoom(pixel_values, factor) for factor in self.config.zoom_average]
        if self.config.flip_average:
            views += [view.flip(-1) for view in (pixel_values, *views)]
        if not views:
            return logits
        # One batch of all: a pass over a single face costs nearly three times as much per image as one over many.
        others = self.classify(torch.cat(views))[0].unflatten(0, (len(views), -1))
        return (logits + others.sum(0)) / (1 + len(views))

    def forward(
        self,
        pixel_values: Tensor,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> ImageClassifierOutputWithNoAttention | tuple:
        """
        Args:
            pixel_values: float (batch, channels, height, width), as the image processor gives them.
            labels: class indices (batch,) for `problem_type="single_label_classification"`, floats
                (batch, labels) for `"multi_label_classification"`, floats (batch,) for `"regression"`.

        Returns:
            `logits` (batch, labels), already divided by `config.temperature`; `loss` if labels are given;
            `hidden_states` as in `GiMeFiveModel`.
        """
        return_dict = self.config.return_dict if return_dict is None else return_dict
        logits, features = self.classify(pixel_values, output_hidden_states)
        if not self.training:
            logits = self.average_views(logits, pixel_values)
        loss = None if labels is None else self.loss_function(labels, logits, self.config)
        output = ImageClassifierOutputWithNoAttention(loss=loss, logits=logits, hidden_states=features.hidden_states)
        return output if return_dict else output.to_tuple()


def zoom(images: Tensor, factor: float) -> Tensor:
    """Images (n, c, h, w) enlarged about their centre by `factor`; below 1 the edge's pixels fill the margin."""
    matrix = torch.eye(2, 3, dtype=images.dtype, device=images.device) / factor
    grid = F.affine_grid(matrix.expand(images.shape[0], 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def build_classifier(config: GiMeFiveConfig, in_features: int) -> nn.Sequential:
    """Linear layers, activations between them; dropout once, after the first hidden layer or before the only layer."""
    widths = [in_features, *config.classifier_widths]
    layers: list[nn.Module] = [nn.BatchNorm1d(in_features)] if config.classifier_batch_norm else []
    for index, (i, o) in enumerate(pairwise(widths)):
        layers += [nn.Linear(i, o), ACT2FN[config.hidden_act]]
        if index == 0:
            layers.append(nn.Dropout(config.classifier_dropout))
    if len(widths) == 1:
        layers.append(nn.Dropout(config.classifier_dropout))
    return nn.Sequential(*layers, nn.Linear(widths[-1], config.num_labels))


__all__ = ["GiMeFiveForImageClassification", "GiMeFiveModel", "GiMeFivePreTrainedModel"]
