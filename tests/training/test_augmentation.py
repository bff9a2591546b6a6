"""Augmentation: seeded, per image, within its strengths."""

from dataclasses import replace

import pytest
import torch

from training.loop.augmentation import Augmentation, augment

NOTHING = Augmentation(False, 0, 0, 0, 0, 0, 0)


def ramp(n: int = 4, side: int = 32, channels: int = 3) -> torch.Tensor:
    """Images that grow brighter from left to right."""
    row = torch.linspace(20, 220, side).round().to(torch.uint8)
    return row.expand(n, channels, side, side).clone()


def run(images, options, seed=0, side=32):
    return augment(images, side, options, torch.Generator().manual_seed(seed))


def test_no_strength_changes_nothing():
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    difference = run(images, NOTHING).int() - images.int()
    assert difference.abs().max() <= 1  # rounding of the sampling grid


def test_seed_decides_everything():
    options = Augmentation(blur=0.5, jpeg=0.5, noise=0.5)
    images = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8)
    torch.manual_seed(1)
    first = run(images, options, seed=3)
    torch.manual_seed(2)
    assert torch.equal(first, run(images, options, seed=3))
    assert not torch.equal(first, run(images, options, seed=4))
    assert (first.shape, first.dtype) == ((8, 3, 32, 32), torch.uint8)


def test_each_image_has_its_own_draw():
    out = run(ramp(64), Augmentation(True, 0, 0, 0, 0, 0, 0))
    mirrored = [bool(image[0, 0, 0] > image[0, 0, -1]) for image in out]
    assert 16 < sum(mirrored) < 48  # 64 fair draws: four standard deviations


def test_light_stays_in_its_range():
    means = run(torch.full((200, 1, 8, 8), 100, dtype=torch.uint8), Augmentation(False, 0, 0, 0, 0.3, 0, 0), side=8)
    means = means.float().mean((1, 2, 3))
    assert 69 <= means.min() < 78
    assert 122 < means.max() <= 130


def test_erasing_share_and_size():
    out = run(torch.zeros((400, 1, 56, 56), dtype=torch.uint8), Augmentation(False, 0, 0, 0, 0, 0, 0.25), side=56)
    erased = (out > 0).flatten(1).sum(1).float() / 56**2
    assert (erased > 0).float().mean() == pytest.approx(0.25, abs=0.09)
    assert erased.max() <= 0.446**2


def test_jpeg_blur_and_noise_change_grey_and_colour():
    noise = torch.randint(0, 256, (6, 1, 32, 32), dtype=torch.uint8)
    for name in ("blur", "jpeg", "noise"):
        options = replace(NOTHING, **{name: 1.0})
        for images in (noise, noise.expand(-1, 3, -1, -1)):
            before = images.clone()
            out = run(images, options)
            assert torch.equal(images, before)  # the caller's images stay as they are
            assert all((a.int() - b.int()).abs().float().mean() > 2 for a, b in zip(out, images, strict=True))


def test_noise_share_and_strength():
    """Half of the images, with a sigma drawn evenly up to 0.15 of the range: 19 grey levels on average."""
    out = run(torch.full((400, 1, 32, 32), 128, dtype=torch.uint8), replace(NOTHING, noise=0.5)).float()
    sigma = out.flatten(1).std(1)
    assert (sigma > 0).float().mean() == pytest.approx(0.5, abs=0.1)
    assert sigma[sigma > 0].mean() == pytest.approx(0.15 * 255 / 2, rel=0.1)
    assert sigma.max() < 0.15 * 255 * 1.1


@pytest.mark.parametrize("options", [{"erasing": 1.5}, {"rotation": 200}, {"jpeg": -0.1}])
def test_strengths_out_of_range(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be between 0 and"):
        Augmentation(**options)
