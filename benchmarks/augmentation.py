"""
One augmentation, four ways: milliseconds of processor time per image, on one thread, so that other work does not count.

    pip install kornia && python -m benchmarks.augmentation

Each image gets its own flip, rotation, scale, shift, light and erasing, 64×64 → 112×112 RGB. torchvision's transforms
draw once for the whole tensor that they get, so for draws of its own every image is a call; the second row is what that
costs without: one draw for the batch, which is no equal of the others.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import v2

from training.loop.augmentation import Augmentation, augment

SIDE = 112


def torchvision_transform() -> v2.Compose:
    return v2.Compose(
        [
            v2.Resize(SIDE, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomAffine(15, (0.06, 0.06), (0.85, 1.15), interpolation=v2.InterpolationMode.BILINEAR),
            v2.ColorJitter(0.3, 0.3),
            v2.RandomErasing(0.25, (0.02, 0.2)),
        ]
    )


def kornia_augment(images: Tensor) -> Tensor:
    import kornia.augmentation as K

    steps = K.AugmentationSequential(
        K.RandomHorizontalFlip(p=0.5),
        K.RandomAffine(15, (0.06, 0.06), (0.85, 1.15), padding_mode="border", p=1.0),
        K.ColorJiggle(0.3, 0.3, p=1.0),
        K.RandomErasing((0.02, 0.2), p=0.25),
    )
    large = F.interpolate(images.float() / 255, size=(SIDE, SIDE), mode="bilinear")
    return (steps(large) * 255).to(torch.uint8)


def milliseconds(run, images: Tensor, repeats: int) -> float:
    """The best of `repeats` runs, per image."""
    run(images)
    times = []
    for _ in range(repeats):
        start = time.thread_time()
        run(images)
        times.append(time.thread_time() - start)
    return 1000 * min(times) / len(images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (args.batch, 3, 64, 64), dtype=torch.uint8, generator=generator)
    transform, options = torchvision_transform(), Augmentation()
    ways = {
        "torchvision v2, each image": lambda x: torch.stack([transform(image) for image in x]),
        "torchvision v2, one draw for the batch": transform,
        "kornia": kornia_augment,
        "training.loop.augmentation (torch)": lambda x: augment(x, SIDE, options, generator),
    }
    figures = {name: round(milliseconds(run, images, args.repeats), 3) for name, run in ways.items()}
    result = {"batch": args.batch, "cpu_ms_per_image": figures, "torch": torch.__version__}
    args.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
