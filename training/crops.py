"""
Face crops as tensors: one corpus and split decoded once into a uint8 array, cached as safetensors.

The cache is keyed by the corpus file's name, size and time and by the split list, so an edited corpus is read again.
"""

import csv
import hashlib
import io
import json
import os
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from gimefive_hf.configuration_gimefive import EMOTIONS

# Labels of crops: the six emotions, then neutral, which six-class models have no output for.
LABELS = (*EMOTIONS, "neutral")
NEUTRAL = LABELS.index("neutral")
CORPORA = ("raf-db", "fer2013", "affectnet", "ck48", "ck-paper", "tfeid")
SPLITS = ("train", "validation", "test")
SPLITS_DIR = Path(__file__).parent / "splits"

RAF_CODES = {"1": "surprise", "2": "fear", "3": "disgust", "4": "happiness", "5": "sadness", "6": "anger"}
FOLDERS = {"happy": "happiness", "sad": "sadness", "angry": "anger"}


@dataclass
class Crops:
    """
    One corpus and split. `images` uint8 (n, channels, side, side), 1 channel if read as grey, else RGB; `labels`
    int64 (n,), indices into `LABELS`; `votes` float32 (n, 7), annotators' counts in the order of `LABELS`, all zero
    for an image that nobody voted on; `sources` the n paths inside the corpus; `left_out` counts, by class name,
    of the images whose class is none of `LABELS`.
    """

    images: Tensor
    labels: Tensor
    votes: Tensor
    sources: list[str]
    left_out: dict[str, int]

    def __len__(self) -> int:
        return len(self.sources)

    def select(self, chosen: Tensor) -> "Crops":
        """The crops at the indices, or where the mask is true."""
        chosen = chosen.nonzero()[:, 0] if chosen.dtype == torch.bool else chosen
        sources = [self.sources[i] for i in chosen.tolist()]
        return Crops(self.images[chosen], self.labels[chosen], self.votes[chosen], sources, self.left_out)


def read_votes(archive: zipfile.ZipFile) -> dict[str, list[float]]:
    """FER+ counts per file in the order of `LABELS`; contempt, unknown and no-face votes have no place there."""
    if "ferplus_votes.csv" not in archive.namelist():
        return {}
    rows = csv.DictReader(io.TextIOWrapper(archive.open("ferplus_votes.csv"), "utf-8"))
    return {row["file"]: [float(row[name]) for name in LABELS] for row in rows}


def decode(data: bytes, mode: str, side: int | None) -> np.ndarray:
    """JPEG or PNG → uint8 (channels, side, side); `mode` is PIL's, L or RGB; `side` None keeps the size."""
    with Image.open(io.BytesIO(data)) as image:
        image = image.convert(mode)
        if side is not None and image.size != (side, side):
            image = image.resize((side, side), Image.Resampling.BILINEAR)
        pixels = np.asarray(image)
    return pixels[None] if mode == "L" else pixels.transpose(2, 0, 1)


def decode_split(data: Path, corpus: str, split: str, grey: bool, side: int | None, splits: Path) -> Crops:
    """Decode without cache; see `read_crops`."""
    with open(splits / f"{corpus}.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    images, labels, votes, sources, unreadable = [], [], [], [], []
    left_out: Counter[str] = Counter()
    with zipfile.ZipFile(data / f"{corpus}.zip") as archive:
        table = read_votes(archive)
        for row in rows:
            folder = row["source"].split("/")[-2]
            name = RAF_CODES.get(folder) or FOLDERS.get(folder, folder)
            if name not in LABELS:
                left_out[name] += 1
                continue
            try:
                images.append(decode(archive.read(row["source"]), "L" if grey else "RGB", side))
            except (OSError, KeyError, zipfile.BadZipFile, SyntaxError) as error:
                unreadable.append(f"{row['source']}: {error}")
                continue
            labels.append(LABELS.index(name))
            votes.append(table.get(row["source"], [0.0] * len(LABELS)))
            sources.append(row["source"])
    if unreadable:
        raise ValueError(
            f"{corpus}: {len(unreadable)} of {len(rows)} images of split {split!r} cannot be read; mend them or take "
            "them out of the split list:\n  " + "\n  ".join(unreadable[:20])
        )
    return stack(corpus, split, images, labels, votes, sources, left_out)


def stack(corpus: str, split: str, images, labels, votes, sources, left_out) -> Crops:
    """Lists → `Crops`; all images must have one size."""
    if not images:
        raise ValueError(f"{corpus} has no image with one of the labels {', '.join(LABELS)} in split {split!r}")
    shapes = Counter(image.shape[1:] for image in images)
    if len(shapes) > 1:
        raise ValueError(f"{corpus}: images of {len(shapes)} sizes (such as {shapes.most_common(2)}); set a side")
    return Crops(
        torch.from_numpy(np.stack(images)),
        torch.tensor(labels),
        torch.tensor(votes, dtype=torch.float32),
        sources,
        dict(left_out),
    )


def cache_name(data: Path, corpus: str, split: str, grey: bool, side: int | None, splits: Path) -> str:
    """File name that changes when the corpus, its split list or the way of decoding does."""
    archive = (data / f"{corpus}.zip").stat()
    listed = (splits / f"{corpus}.csv").read_bytes()
    key = json.dumps([corpus, split, grey, side, archive.st_size, archive.st_mtime_ns, LABELS]).encode() + listed
    return f"{corpus}-{split}-{hashlib.sha256(key).hexdigest()[:16]}.safetensors"


def read_crops(
    data: Path,
    corpus: str,
    split: str,
    grey: bool = True,
    side: int | None = None,
    cache: Path | None = None,
    splits: Path = SPLITS_DIR,
) -> Crops:
    """
    One split of one corpus of the folder `data`, resized to `side` px if given, from the folder `cache` if it is there;
    `splits` is the folder of the split lists.

    Raises `FileNotFoundError` for a missing corpus and `ValueError` for an unknown name, for unreadable images (all are
    named before anything is trained) and for images of several sizes where no `side` is given.
    """
    if corpus not in CORPORA or split not in SPLITS:
        raise ValueError(f"expected a corpus out of {CORPORA} and a split out of {SPLITS}; got {corpus!r}, {split!r}")
    if not (data / f"{corpus}.zip").is_file():
        raise FileNotFoundError(f"no {corpus}.zip in {data}; say where the corpora are with --data")
    path = cache / cache_name(data, corpus, split, grey, side, splits) if cache else None
    if path is None or not path.is_file():
        crops = decode_split(data, corpus, split, grey, side, splits)
        if path is not None:
            write_cache(crops, path)
        return crops
    with safe_open(path, framework="pt") as file:
        texts = file.metadata()
        tensors = {name: file.get_tensor(name) for name in ("images", "labels", "votes")}
    return Crops(**tensors, sources=json.loads(texts["sources"]), left_out=json.loads(texts["left_out"]))


def write_cache(crops: Crops, path: Path) -> None:
    """Atomically, so that a killed process leaves no half a file behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {"images": crops.images, "labels": crops.labels, "votes": crops.votes}
    texts = {"sources": json.dumps(crops.sources), "left_out": json.dumps(crops.left_out)}
    partial = path.with_suffix(f".{os.getpid()}.partial")
    save_file(tensors, partial, metadata=texts)
    os.replace(partial, path)
