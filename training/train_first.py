"""
The first checkpoint: a short, resumable training of the face-resnet on all training splits.

    nice -n 19 python -m training.train_first --data DIR --identity package/model --out runs/first --steps 9000

`--identity` is the folder of face-identity weights (see `training/face_identity.py`). Constant learning rate after
warm-up, linear fall over the last 30 %, averaged weights; every random number comes from (seed, step), so a run that
was killed goes on as if nothing had happened.
"""

import argparse
import csv
import io
import json
import math
import os
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from gimefive_hf.configuration_gimefive import EMOTIONS
from gimefive_hf.image_processing_gimefive import GiMeFiveImageProcessor
from gimefive_hf.modeling_gimefive import GiMeFiveForImageClassification

from .face_identity import IDENTITY_MEAN, IDENTITY_STD, face_resnet_config, load_face_identity

SPLITS_DIR = Path(__file__).parent / "splits"
SIDE = 112
RAF_CODES = {"1": "surprise", "2": "fear", "3": "disgust", "4": "happiness", "5": "sadness", "6": "anger"}
FOLDERS = {"happy": "happiness", "sad": "sadness", "angry": "anger"}
# Images of each corpus per pass, relative to its size: RAF-DB is small and has the cleanest labels.
CORPUS_WEIGHT = {"raf-db": 2.0, "fer2013": 1.0, "affectnet": 1.0, "ck48": 0.5, "ck-paper": 0.5, "tfeid": 1.0}
# How much of a crop is shown, as the range of a random zoom. RAF-DB's and FER2013's eyes are 0.48 and 0.39 of the side
# apart, AffectNet's 0.29 and FFHQ's 0.25: zooming in makes the framings alike.
ZOOM = {"affectnet": (0.58, 1.0)}
CLASS_EXPONENT = 0.4  # a class of n images is drawn in proportion to n^(1 - exponent)
VOTE_SHARE = 0.3  # of FER+ votes in FER2013's targets


@dataclass
class Crops:
    """One corpus and split: grey uint8 images (n, 1, side, side), soft targets (n, 6), label index or -1 (neutral)."""

    images: Tensor
    targets: Tensor
    labels: Tensor
    sources: list[str]


def vote_targets(archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
    """FER+ votes per file as a distribution over the six; votes for neutral are spread evenly."""
    table = {}
    for row in csv.DictReader(io.TextIOWrapper(archive.open("ferplus_votes.csv"))):
        six = np.array([float(row[name]) for name in EMOTIONS]) + float(row["neutral"]) / len(EMOTIONS)
        if six.sum() >= 5:
            table[row["file"]] = six / six.sum()
    return table


def read_crops(data: Path, corpus: str, split: str) -> Crops:
    """Decode one split of one corpus. Classes outside the six are left out, but FER2013's neutral is kept as label -1."""
    rows = list(csv.DictReader(open(SPLITS_DIR / f"{corpus}.csv", newline="")))
    images, targets, labels, sources = [], [], [], []
    with zipfile.ZipFile(data / f"{corpus}.zip") as archive:
        votes = vote_targets(archive) if corpus == "fer2013" else {}
        for row in rows:
            folder = row["source"].split("/")[-2]
            name = RAF_CODES.get(folder) or FOLDERS.get(folder, folder)
            if row["split"] != split or name not in (*EMOTIONS, "neutral"):
                continue
            label = EMOTIONS.index(name) if name in EMOTIONS else -1
            target = np.eye(6)[label] if label >= 0 else np.full(6, 1 / 6)
            if row["source"] in votes:
                target = (1 - VOTE_SHARE) * target + VOTE_SHARE * votes[row["source"]]
            with Image.open(io.BytesIO(archive.read(row["source"]))) as image:
                images.append(np.asarray(image.convert("L")))
            targets.append(target)
            labels.append(label)
            sources.append(row["source"])
    return Crops(
        torch.from_numpy(np.stack(images))[:, None],
        torch.tensor(np.array(targets), dtype=torch.float32),
        torch.tensor(labels),
        sources,
    )


def draw_pass(corpora: list[tuple[str, Crops]], generator: torch.Generator) -> list[tuple[int, int]]:
    """Indices (corpus, image) of one pass in random order; an image of weight 1.3 comes once or, at times, twice."""
    order = []
    for number, (corpus, crops) in enumerate(corpora):
        counts = torch.bincount(crops.labels + 1, minlength=7).float()
        weight = counts.clamp(min=1) ** -CLASS_EXPONENT
        weight[0] *= 0.7  # neutral: enough to learn what no emotion looks like
        weight = weight[crops.labels + 1]
        weight *= CORPUS_WEIGHT[corpus] * len(weight) / weight.sum()
        repeats = (weight + torch.rand(len(weight), generator=generator)).floor().long()
        order += [(number, i) for i in torch.arange(len(weight)).repeat_interleave(repeats).tolist()]
    return [order[i] for i in torch.randperm(len(order), generator=generator).tolist()]


def augment(images: Tensor, generator: torch.Generator, zoom: tuple[float, float] = (0.85, 1.15)) -> Tensor:
    """Grey uint8 (n, 1, s, s) → uint8 (n, 1, 112, 112): flip, ±15°, scale, shift, resolution, light, erasing."""
    n = len(images)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.empty(*(shape or (n,))).uniform_(low, high, generator=generator)

    x = images.float()
    if uniform(0, 1, 1) < 0.3:  # one resolution for the group: corpora must not be told apart by their sharpness
        side = int(uniform(36, 64, 1))
        x = F.interpolate(x, size=(side, side), mode="bilinear", antialias=True)
    angle = uniform(-15, 15) * math.pi / 180
    scale = uniform(*zoom)
    flip = (uniform(0, 1) < 0.5).float() * -2 + 1
    row1 = torch.stack([scale * flip * angle.cos(), -scale * angle.sin(), uniform(-0.12, 0.12)], 1)
    row2 = torch.stack([scale * flip * angle.sin(), scale * angle.cos(), uniform(-0.12, 0.12)], 1)
    grid = F.affine_grid(torch.stack([row1, row2], 1), [n, 1, SIDE, SIDE], align_corners=False)
    x = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    x = (x - mean) * uniform(0.7, 1.3)[:, None, None, None] + mean * uniform(0.7, 1.3)[:, None, None, None]
    for i in (uniform(0, 1) < 0.25).nonzero()[:, 0].tolist():
        h, w = (int(v) for v in uniform(15, 50, 2))
        top, left = int(uniform(0, SIDE - h, 1)), int(uniform(0, SIDE - w, 1))
        x[i, 0, top : top + h, left : left + w] = uniform(0, 255, 1)
    return x.clamp(0, 255).to(torch.uint8)


def make_batch(corpora, indices, processor, generator) -> tuple[Tensor, Tensor]:
    """Augmented, mixed-up `pixel_values` (n, 3, 112, 112) and soft targets (n, 6)."""
    images, targets = [], []
    for number, (name, crops) in enumerate(corpora):
        chosen = [i for c, i in indices if c == number]
        if chosen:
            images.append(augment(crops.images[chosen], generator, ZOOM.get(name, (0.85, 1.15))))
            targets.append(crops.targets[chosen])
    x = processor(torch.cat(images).expand(-1, 3, -1, -1), return_tensors="pt")["pixel_values"]
    y = torch.cat(targets)
    if torch.rand(1, generator=generator) < 0.5:
        share = float(np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator))).beta(0.2, 0.2))
        other = torch.randperm(len(x), generator=generator)
        x, y = share * x + (1 - share) * x[other], share * y + (1 - share) * y[other]
    return x, y


@torch.no_grad()
def predict(model, processor, crops: Crops, flip: bool = True) -> Tensor:
    """Logits (n, 6) of unaugmented crops, averaged with those of the mirror images if `flip`."""
    logits = []
    model.eval()
    for start in range(0, len(crops.images), 128):
        batch = crops.images[start : start + 128].expand(-1, 3, -1, -1)
        x = processor(batch, return_tensors="pt")["pixel_values"].contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            out = model(x).logits.float()
            logits.append((out + model(x.flip(-1)).logits.float()) / 2 if flip else out)
    return torch.cat(logits)


def scores(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Accuracy and mean recall in %, over the images that have one of the six labels."""
    kept = labels >= 0
    right = logits[kept].argmax(1) == labels[kept]
    recalls = [right[labels[kept] == c].float().mean() for c in labels[kept].unique()]
    return {"accuracy": 100 * right.float().mean().item(), "recall": 100 * torch.stack(recalls).mean().item()}


def learning_rate(step: int, steps: int, peak: float) -> float:
    return peak * min(1.0, (step + 1) / 300, max(0.0, (steps - step) / (0.3 * steps)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--identity", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=9000)
    parser.add_argument("--peak", type=float, default=1e-3)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--decay", type=float, default=0.05)
    parser.add_argument("--average", type=float, default=0.999)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    names = list(CORPUS_WEIGHT)
    train = [(name, read_crops(args.data, name, "train")) for name in names]
    held_out = {name: read_crops(args.data, name, "validation") for name in names[:3]}
    print({name: len(crops.sources) for name, crops in train}, flush=True)
    processor = GiMeFiveImageProcessor(
        size={"height": SIDE, "width": SIDE}, image_mean=IDENTITY_MEAN, image_std=IDENTITY_STD
    )
    torch.manual_seed(args.seed)
    model = GiMeFiveForImageClassification(face_resnet_config((1, 2, 2, 1, 1), classifier_dropout=0.3))
    raf = train[0][1].images[:512].expand(-1, 3, -1, -1)
    load_face_identity(model, args.identity, processor(raf, return_tensors="pt")["pixel_values"])
    model = model.to(memory_format=torch.channels_last)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW([{"params": decayed}, {"params": plain, "weight_decay": 0}], weight_decay=args.decay)
    averaged = {k: v.clone() for k, v in model.state_dict().items()}
    start, history = 0, []
    checkpoint = args.out / "state.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        averaged, start, history = state["averaged"], state["step"], json.loads(state["history"])
    saved = began = time.time()
    # Find the place in the passes: their lengths are random but determined by (seed, pass).
    position, number = start * args.batch, 0
    while True:
        order = draw_pass(train, torch.Generator().manual_seed(args.seed * 1000 + number))
        if position < len(order):
            break
        position, number = position - len(order), number + 1
    running = 0.0
    for step in range(start, args.steps):
        indices = order[position : position + args.batch]
        position += args.batch
        if len(indices) < args.batch:
            number += 1
            position -= len(order)
            order = draw_pass(train, torch.Generator().manual_seed(args.seed * 1000 + number))
            indices += order[:position]
        generator = torch.Generator().manual_seed(args.seed * 10_000_000 + step)
        torch.manual_seed(args.seed * 10_000_000 + step)
        x, y = make_batch(train, indices, processor, generator)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, args.steps, args.peak)
        model.train()
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(x.contiguous(memory_format=torch.channels_last)).logits
        loss = F.cross_entropy(logits.float(), y)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"loss is {loss.item()} at step {step}; lower --peak")
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        running += loss.item()
        decay = min(args.average, (step + 1) / (step + 10))
        for key, value in model.state_dict().items():
            if value.is_floating_point():
                averaged[key].lerp_(value, 1 - decay)
            else:
                averaged[key].copy_(value)
        if (step + 1) % 50 == 0:
            speed = (step + 1 - start) * args.batch / (time.time() - began)
            print(f"step {step + 1} pass {number} loss {running / 50:.4f} {speed:.0f} images/s", flush=True)
            running = 0.0
        if (step + 1) % 1000 == 0 or step + 1 == args.steps:
            shadow = GiMeFiveForImageClassification(model.config)
            shadow.load_state_dict(averaged)
            shadow = shadow.to(memory_format=torch.channels_last)
            report = {name: scores(predict(shadow, processor, c), c.labels) for name, c in held_out.items()}
            history.append({"step": step + 1, "minutes": (time.time() - began) / 60, **report})
            print(json.dumps(history[-1]), flush=True)
            (args.out / "history.json").write_text(json.dumps(history, indent=1))
            shadow.save_pretrained(args.out / "averaged")
            processor.save_pretrained(args.out / "averaged")
        if time.time() - saved > 180 or step + 1 == args.steps:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "averaged": averaged}
            state |= {"step": step + 1, "history": json.dumps(history)}
            torch.save(state, checkpoint.with_suffix(".new"))
            os.replace(checkpoint.with_suffix(".new"), checkpoint)
            saved = time.time()


if __name__ == "__main__":
    main()
