"""Image processor: aligned face crops → `pixel_values`. The one preprocessing of training, evaluation and inference."""

import torch
from torchvision.transforms.v2 import functional as tvf
from transformers.image_processing_backends import TorchvisionBackend
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, PILImageResampling
from transformers.processing_utils import ImagesKwargs

from .bundled import resolve_checkpoint


class GiMeFiveImageProcessorKwargs(ImagesKwargs, total=False):  # type: ignore[call-arg]
    r"""
    do_grayscale (`bool`): replace colours by their ITU-R 601 luma, copied to all channels, so that grey corpora and
        colour photos look alike to the network.
    """

    do_grayscale: bool


class GiMeFiveImageProcessor(TorchvisionBackend):
    """
    Convert to RGB, optionally to grey copied to three channels, resize to `size`, rescale to [0, 1], normalise.

    Takes what transformers' processors take: PIL images, arrays or tensors in uint8 RGB, one or a list. The defaults
    are the paper's: 64×64, grey, ImageNet's mean and deviation.
    """

    valid_kwargs = GiMeFiveImageProcessorKwargs
    resample = PILImageResampling.BILINEAR
    image_mean = IMAGENET_DEFAULT_MEAN
    image_std = IMAGENET_DEFAULT_STD
    size = {"height": 64, "width": 64}
    do_convert_rgb = True
    do_grayscale = True
    do_resize = True
    do_rescale = True
    do_normalize = True

    def _preprocess(self, images: list[torch.Tensor], do_grayscale: bool, **kwargs):
        if do_grayscale and len({image.shape for image in images}) == 1:  # as one array, which is much faster
            images = list(tvf.rgb_to_grayscale(torch.stack(images), num_output_channels=images[0].shape[-3]))
        elif do_grayscale:
            images = [tvf.rgb_to_grayscale(image, num_output_channels=image.shape[-3]) for image in images]
        return super()._preprocess(images, **kwargs)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, *args, **kwargs):
        """As in transformers; the names of `BUNDLED` stand for the checkpoints in the package, if it is there."""
        return super().from_pretrained(resolve_checkpoint(pretrained_model_name_or_path), *args, **kwargs)


__all__ = ["GiMeFiveImageProcessor"]
