"""Configuration of the GiMeFive family: which network, for which classes, from which kind of input."""

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig
from transformers.activations import ACT2FN

from .bundled import BUNDLED, resolve_checkpoint
from .emotions import EMOTIONS

# What transformers itself passes to a config beyond its fields.
EXTRAS = (
    *("attn_implementation", "auto_map", "custom_pipelines", "model_type", "name_or_path", "num_labels"),
    *("quantization_config", "tie_word_embeddings", "torch_dtype", "use_cache"),
)

ARCHITECTURES: tuple[str, ...] = ("conv", "residual", "face-resnet", "timm")


@strict
class GiMeFiveConfig(PreTrainedConfig):
    r"""
    One configuration for all networks of the GiMeFive paper (arXiv 2402.15662), for the face-identity residual
    network behind the flagship, and for any timm backbone. The defaults are the paper's best network:
    five blocks with batch norm and dropout, 10,478,086 parameters.

    Args:
        architecture: `"conv"` (plain 3×3 blocks, each ended by a 2×2 max-pool; the paper's and the VGGs),
            `"residual"` (the paper's residual + squeeze-and-excitation network), `"face-resnet"` (29-layer
            residual network with pooled shortcuts, after dlib's face-identity network) or `"timm"`.
        timm_model: name of the timm model for `architecture="timm"`, else None.
        timm_kwargs: further arguments of `timm.create_model`, such as `{"img_size": 64}` for a ViT.
        image_size: side of the square input in pixels; only `pooling="flatten"` and some timm models depend on it.
        num_channels: input channels, 3 or 1. Grey images are copied to three channels by the image processor.
        widths: output channels of the stages. For `"residual"` the first entry is the stem's.
        depths: convolutions per block for `"conv"`, blocks per stage for `"face-resnet"`, one number per stage;
            None means one each. `"residual"` has one block of two convolutions per stage.
        strides: stride with which each stage of `"face-resnet"` begins, one number per stage.
        batch_norm: batch norm after each convolution of `"conv"`.
        share_batch_norm: one batch norm for all convolutions of a block, as in the paper's VGG.
        hidden_act: activation of `"conv"` and of the classifier's hidden layers, a name of transformers' `ACT2FN`.
        se_stages: indices of the stages of `"conv"` or `"residual"` that end in squeeze-and-excitation
            (for `"residual"`, 0 is the stem).
        se_reduction: reduction of the squeeze-and-excitation bottleneck.
        pool_dropout: dropout probability after every pooling but the last.
        pooling: `"avg"` (global average) or `"flatten"` before the classifier; timm models pool by themselves.
        classifier_widths: hidden widths of the classifier; empty for a single linear layer.
        classifier_dropout: dropout probability after the first hidden layer of the classifier, or before the
            only linear layer if there is no hidden one.
        classifier_batch_norm: batch norm before the classifier.
        temperature: logits are divided by it (Guo et al. 2017), so that softmax gives calibrated scores; fitted on
            held-out training images after training, 1.0 before.
        flip_average: in eval mode, average the logits of the image and of its mirror image.
        zoom_average: in eval mode, average the logits of the image and of the image zoomed by each of these factors,
            and, with `flip_average`, of the mirror images of all. Each costs a pass.
        confidence_threshold: confidence under which a face is reported as showing no clear emotion; None never
            abstains. The forward pass ignores it.

    Raises:
        ValueError: if a value contradicts another, naming both.
    """

    model_type = "gimefive"

    architecture: str = "conv"
    timm_model: str | None = None
    timm_kwargs: dict | None = None
    image_size: int = 64
    num_channels: int = 3
    widths: list[int] | tuple[int, ...] = (64, 128, 256, 512, 1024)
    depths: list[int] | tuple[int, ...] | None = None
    strides: list[int] | tuple[int, ...] | None = None
    batch_norm: bool = True
    share_batch_norm: bool = False
    hidden_act: str = "relu"
    se_stages: list[int] | tuple[int, ...] = ()
    se_reduction: int = 16
    pool_dropout: float = 0.2
    pooling: str = "avg"
    classifier_widths: list[int] | tuple[int, ...] = (2048, 1024)
    classifier_dropout: float = 0.5
    classifier_batch_norm: bool = False
    temperature: float = 1.0
    flip_average: bool = False
    zoom_average: list[float] | tuple[float, ...] = ()
    confidence_threshold: float | None = None

    def __post_init__(self, **kwargs):
        unknown = sorted(name for name in kwargs if name not in EXTRAS and not name.startswith("_"))
        if unknown:  # transformers would store them, and a misspelt option would change nothing
            raise ValueError(f"GiMeFiveConfig has no option {', '.join(unknown)}")
        # Seven classes are the six and neutral; other counts get transformers' anonymous names.
        names = {None: EMOTIONS, 6: EMOTIONS, 7: (*EMOTIONS, "neutral")}.get(kwargs.get("num_labels"))
        given: dict | None = self.id2label  # type: ignore[has-type]
        if names and (given is None or ("num_labels" in kwargs and len(given) != len(names))):
            self.id2label, self.label2id = dict(enumerate(names)), None
            kwargs.pop("num_labels", None)
        if self.id2label is not None and self.label2id is None:
            self.label2id = {name: int(index) for index, name in self.id2label.items()}
        for name in ("widths", "depths", "strides", "se_stages", "classifier_widths", "zoom_average"):
            if getattr(self, name) is not None:
                setattr(self, name, list(getattr(self, name)))
        super().__post_init__(**kwargs)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, **kwargs):
        """As in transformers; the names of `BUNDLED` stand for the checkpoints in the package, if it is there."""
        return super().from_pretrained(resolve_checkpoint(pretrained_model_name_or_path), **kwargs)

    def validate_network(self):
        """Called by `strict` after construction."""
        if self.architecture not in ARCHITECTURES:
            raise ValueError(f"architecture must be one of {', '.join(ARCHITECTURES)}; got {self.architecture!r}")
        if (self.architecture == "timm") != (self.timm_model is not None):
            raise ValueError(
                f"timm_model goes with architecture='timm' and only with it; got architecture={self.architecture!r}, "
                f"timm_model={self.timm_model!r}"
            )
        if not self.widths or min(self.widths) < 1:
            raise ValueError(f"widths must hold at least one positive number; got {self.widths}")
        for name in ("depths", "strides"):
            values = getattr(self, name)
            if values is not None and (len(values) != len(self.widths) or min(values) < 1):
                raise ValueError(
                    f"{name} must hold one positive number per stage of widths={self.widths}; got {values}"
                )
        if self.hidden_act not in ACT2FN:
            raise ValueError(f"hidden_act must be one of {', '.join(sorted(ACT2FN))}; got {self.hidden_act!r}")
        if self.hidden_act != "relu" and self.architecture != "conv":
            raise ValueError(f"hidden_act={self.hidden_act!r} needs architecture='conv'; got {self.architecture!r}")
        if self.pooling not in ("avg", "flatten"):
            raise ValueError(f"pooling must be 'avg' or 'flatten'; got {self.pooling!r}")
        if self.num_channels not in (1, 3):
            raise ValueError(f"num_channels must be 1 or 3; got {self.num_channels}")
        if self.architecture == "conv" and self.image_size >> len(self.widths) < 1:
            raise ValueError(
                f"{len(self.widths)} blocks halve the input {len(self.widths)} times, which leaves nothing of "
                f"image_size={self.image_size}; use fewer widths or a larger image_size"
            )
        if any(not 0 <= stage < len(self.widths) for stage in self.se_stages):
            raise ValueError(f"se_stages must index widths={self.widths}; got {self.se_stages}")
        for name in ("pool_dropout", "classifier_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1); got {getattr(self, name)}")
        if not self.temperature > 0:
            raise ValueError(f"temperature must be positive; got {self.temperature}")
        if any(not 0.5 <= factor <= 2 for factor in self.zoom_average):
            raise ValueError(f"zoom_average must hold factors in [0.5, 2]; got {self.zoom_average}")
        if self.confidence_threshold is not None and not 0 <= self.confidence_threshold <= 1:
            raise ValueError(f"confidence_threshold must be in [0, 1] or None; got {self.confidence_threshold}")


__all__ = ["ARCHITECTURES", "BUNDLED", "EMOTIONS", "GiMeFiveConfig", "resolve_checkpoint"]
