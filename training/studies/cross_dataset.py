"""
The cross-dataset table: one cheap recipe for all, trained on each corpus and tested on every other one.

    python -m training.studies.cross_dataset --data DIR --identity package/model
    python -m training.studies.cross_dataset --data DIR --identity package/model --runs cross-all     # only this row

The recipe is not the flagship's: features of the frozen face-identity network (`networks/face_identity.py`), pooled to
3×3 and 2×2 from its last three stages, and a linear classifier on top, with the same settings for every corpus. It
tells how far the corpora carry to each other, not how good a network can get. "48 px" models see every image reduced
to 48 px first, in training and in testing.
"""

import argparse
import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as tvf

from evaluation.corpora import corpora_with
from evaluation.rows import update_results
from evaluation.store import write_predictions
from gimefive_hf.emotions import EMOTIONS
from gimefive_hf.image_processing_gimefive import GiMeFiveImageProcessor
from gimefive_hf.modeling_gimefive import GiMeFiveForImageClassification

from ..corpora import Crops
from ..measuring.evaluate import make_facts, make_frame, read_images
from ..measuring.scorers import Description, Evaluated
from ..networks.face_identity import IDENTITY_MEAN, IDENTITY_STD, face_resnet_config, load_face_identity
from ..script import Script

SIDE = 112
EPOCHS, BATCH, LEARNING_RATE, WEIGHT_DECAY = 12, 512, 1e-3, 0.05


@dataclass(frozen=True)
class Run:
    """One row of the table: the corpora of the training split, and the resolution that every image is reduced to."""

    name: str
    corpora: tuple[str, ...]
    pixels: int | None = None


RUNS = (
    Run("cross-raf-db", ("raf-db",)),
    Run("cross-fer2013", ("fer2013",)),
    Run("cross-affectnet", ("affectnet",)),
    Run("cross-ck48", ("ck48",)),
    Run("cross-affectnet-fer2013-96px", ("affectnet", "fer2013")),
    Run("cross-affectnet-fer2013-48px", ("affectnet", "fer2013"), 48),
    Run("cross-all", ("raf-db", "fer2013", "affectnet", "ck48", "tfeid")),
)


class FrozenFeatures:
    """
    uint8 RGB crops → pooled features of the frozen network, 3200 numbers per image, kept on disk per corpus, split
    and resolution, because several runs need them.
    """

    def __init__(self, data: Path, identity: Path, cache: Path):
        self.data, self.cache = data, cache
        self.model = GiMeFiveForImageClassification(face_resnet_config()).eval()
        size = {"height": SIDE, "width": SIDE}
        self.processor = GiMeFiveImageProcessor(size=size, image_mean=IDENTITY_MEAN, image_std=IDENTITY_STD)
        sample = torch.stack(read_images(data, "raf-db", "validation", 6).images[:256])
        load_face_identity(self.model, identity, self.prepare(sample))
        self.model = self.model.to(memory_format=torch.channels_last)

    def prepare(self, pixels: Tensor, side: int | None = None) -> Tensor:
        """uint8 (n, 3, s, s) → `pixel_values` (n, 3, 112, 112), over `side` px if given."""
        if side is not None and pixels.shape[-1] > side:
            pixels = tvf.resize(pixels, [side, side], antialias=True)
        return self.processor(pixels, return_tensors="pt")["pixel_values"].contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def extract(self, pixels: Tensor, side: int | None) -> Tensor:
        """float16 (n, 3200)."""
        with torch.autocast("cpu", torch.bfloat16):
            hidden = self.model.gimefive(self.prepare(pixels, side), output_hidden_states=True).hidden_states
        pooled = [F.adaptive_avg_pool2d(h.float(), s).flatten(1) for h, s in zip(hidden[-3:], (3, 2, 2), strict=True)]
        return torch.cat(pooled, 1).half()

    def __call__(self, corpus: str, split: str, side: int | None) -> tuple[Crops, Tensor]:
        """The images of one split and their features."""
        images = read_images(self.data, corpus, split, 6)
        if side is not None and max(max(crop.shape[1:]) for crop in images.images) <= side:
            side = None  # nothing to reduce: the features are those of the crops as they are
        path = self.cache / f"{corpus}-{split}-{side}.npy"
        if path.is_file():
            return images, torch.from_numpy(np.load(path, allow_pickle=False))
        parts = [torch.stack(images.images[start : start + 256]) for start in range(0, len(images), 256)]
        features = torch.cat([self.extract(part, side) for part in parts])
        np.save(path, features.numpy(), allow_pickle=False)
        return images, features


def fit_linear(features: Tensor, labels: Tensor, seed: int = 0, least_steps: int = 300) -> nn.Linear:
    """
    Standardise (n, d) features and fit a linear layer by AdamW with cosine decay; rare classes weigh more, by the
    inverse square root of their share. The standardisation is folded into the layer that comes back.
    """
    mean, deviation = features.mean(0), features.std(0).clamp(min=1e-3)
    generator = torch.Generator().manual_seed(seed)
    weight = torch.bincount(labels, minlength=len(EMOTIONS)).clamp(min=1).float() ** -0.5
    layer = nn.Linear(features.shape[1], len(EMOTIONS))
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    steps_per_epoch = max(1, len(labels) // BATCH)
    steps = max(least_steps, EPOCHS * steps_per_epoch)  # a small corpus needs more epochs
    optimizer = torch.optim.AdamW(layer.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        chosen = torch.randint(len(labels), (min(BATCH, len(labels)),), generator=generator)
        logits = layer((features[chosen] - mean) / deviation)
        loss = F.cross_entropy(logits, labels[chosen], weight / weight.mean(), label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    folded = nn.Linear(features.shape[1], len(EMOTIONS))
    with torch.no_grad():
        folded.weight.copy_(layer.weight / deviation)
        folded.bias.copy_(layer.bias - folded.weight @ mean)
    return folded


def train_and_test(run: Run, features: FrozenFeatures, store: Path, corpora: list[str]) -> None:
    """One row of the table: fit on the training splits, score the test splits, write to the store."""
    parts = [features(corpus, "train", run.pixels) for corpus in run.corpora]
    labels = torch.cat([images.labels for images, _ in parts])
    layer = fit_linear(torch.cat([part.float() for _, part in parts]), labels)
    parameters = sum(p.numel() for p in (*features.model.gimefive.parameters(), *layer.parameters()))
    recipe = f"frozen face-identity features and a linear classifier, fitted on {len(labels)} images"
    recipe += f"; all images reduced to {run.pixels} px" if run.pixels else ""
    model = Evaluated(
        run.name,
        len(EMOTIONS),
        parameters,
        hashlib.sha256(layer.weight.detach().numpy().tobytes()).hexdigest()[:12],
        Description("+".join(run.corpora), recipe, seed=0),
    )
    frames = []
    for corpus in corpora:
        images, part = features(corpus, "test", run.pixels)
        with torch.no_grad():
            scores = layer(part.float()).softmax(1).numpy()
        frames.append(make_frame(images, "aligned", scores, np.ones(len(images), bool)))
    write_predictions(store, make_facts(model), pd.concat(frames, ignore_index=True))
    table = update_results(store, [run.name])
    rows = table[(table["model"] == run.name) & (table["metric"] == "accuracy") & (table["subset"] == "full")]
    print(run.name, {row.corpus: f"{100 * row.value:.1f} of {row.n_total}" for row in rows.itertuples()}, flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = Script("training.studies.cross_dataset", __doc__, data=True, store="--store")
    parser.add_argument("--identity", type=Path, required=True, help="folder of the face-identity weights")
    parser.add_argument("--cache", type=Path, help="folder that keeps the features for another time, about 0.5 GB")
    parser.add_argument(
        "--runs", nargs="+", choices=[run.name for run in RUNS], default=[run.name for run in RUNS], help="default: all"
    )
    return parser.run(run_study, argv)


def run_study(args: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        cache = args.cache or Path(temporary)
        cache.mkdir(parents=True, exist_ok=True)
        features = FrozenFeatures(args.data, args.identity, cache)
        for run in (run for run in RUNS if run.name in args.runs):
            train_and_test(run, features, args.store, list(corpora_with(test=True)))


if __name__ == "__main__":
    raise SystemExit(main())
