"""The one preprocessing path: values against hand-computed ones."""

import numpy as np
import pytest
import torch
from PIL import Image

from gimefive_hf import ExpressionRecognizer, GiMeFiveImageProcessor

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@pytest.mark.parametrize("grey", [True, False])
def test_grey_is_luma_on_three_channels_and_colour_stays_when_asked(grey):
    pixels = np.full((64, 64, 3), (200, 100, 50), np.uint8)
    values = GiMeFiveImageProcessor(do_grayscale=grey)(pixels, return_tensors="pt")["pixel_values"]
    assert values.shape == (1, 3, 64, 64)
    shown = np.full(3, 0.299 * 200 + 0.587 * 100 + 0.114 * 50) if grey else np.array([200, 100, 50])
    tolerance = 0.5 / 255 / 0.22 + 1e-3 if grey else 1e-5  # luma is rounded
    np.testing.assert_allclose(values[0, :, 5, 5], (shown / 255 - MEAN) / STD, atol=tolerance)


def test_same_result_for_pil_array_tensor_and_batch(astronaut):
    processor = GiMeFiveImageProcessor()
    face = np.ascontiguousarray(astronaut[60:190, 150:280])
    one = processor(Image.fromarray(face), return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(processor(face, return_tensors="pt")["pixel_values"], one)
    tensor = torch.from_numpy(face).permute(2, 0, 1)
    torch.testing.assert_close(processor(tensor, return_tensors="pt")["pixel_values"], one)
    batch = processor([face, face[::-1].copy(), face[:100]], return_tensors="pt")["pixel_values"]
    assert batch.shape == (3, 3, 64, 64)
    torch.testing.assert_close(batch[:1], one)


@pytest.mark.parametrize("sizes", [(90, 90, 90), (90, 70, 90)])
def test_crops_processed_together_are_those_processed_alone(tiny_model, tiny_processor, astronaut, sizes):
    """Crops of one size go through as one array; not a bit may change by it."""
    crops = [np.ascontiguousarray(astronaut[20 * i : 20 * i + side, 150:240]) for i, side in enumerate(sizes)]
    together = ExpressionRecognizer(tiny_model, tiny_processor).pixel_values(crops)
    for crop, values in zip(crops, together, strict=True):
        assert torch.equal(tiny_processor(crop, return_tensors="pt")["pixel_values"][0], values)


def test_settings_survive_saving(tmp_path):
    GiMeFiveImageProcessor(size={"height": 24, "width": 24}, do_grayscale=False).save_pretrained(tmp_path)
    loaded = GiMeFiveImageProcessor.from_pretrained(tmp_path)
    assert (loaded.size["height"], loaded.do_grayscale) == (24, False)
