"""Synthetic corpora in the real layouts: a bright bar whose place tells the class, so that a tiny network can learn."""

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from gimefive_hf.configuration_gimefive import EMOTIONS

RAF_FOLDERS = {"surprise": 1, "fear": 2, "disgust": 3, "happiness": 4, "sadness": 5, "anger": 6}
FER_FOLDERS = {"happiness": "happy", "sadness": "sad", "anger": "angry"}


def draw(name: str, side: int, noise: np.random.Generator) -> bytes:
    """JPEG of a grey image with a horizontal bar at the height of the class; neutral has none."""
    pixels = noise.integers(60, 130, (side, side))
    if name in EMOTIONS:
        top = EMOTIONS.index(name) * side // 6
        pixels[top : top + side // 6] += 120
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def write_corpora(folder: Path, per_class: int = 8, side: int = 32) -> tuple[Path, Path]:
    """
    Write raf-db.zip and fer2013.zip, with `per_class` images of every class in each of the three splits, and their
    split lists. Returns (folder of the zips, folder of the lists).
    """
    noise = np.random.default_rng(0)
    data, splits = folder / "corpora", folder / "splits"
    data.mkdir(parents=True)
    splits.mkdir()
    for corpus in ("raf-db", "fer2013"):
        names = EMOTIONS if corpus == "raf-db" else (*EMOTIONS, "neutral")
        rows, votes = [], []
        with zipfile.ZipFile(data / f"{corpus}.zip", "w") as archive:
            for split in ("train", "validation", "test"):
                for name in names:
                    for number in range(per_class):
                        part = "test" if split == "test" else "train"
                        if corpus == "raf-db":
                            source = f"DATASET/{part}/{RAF_FOLDERS[name]}/{split}_{number:05}_aligned.jpg"
                        else:
                            source = f"{part}/{FER_FOLDERS.get(name, name)}/{split}_{number}.jpg"
                            counts = dict.fromkeys((*EMOTIONS, "neutral", "contempt", "unknown", "NF"), 0)
                            votes.append({"file": source} | counts | {name: 8, "fear": 8 if name == "fear" else 2})
                        archive.writestr(source, draw(name, side, noise))
                        rows.append([corpus, source, split])
            if votes:
                text = io.StringIO()
                writer = csv.DictWriter(text, votes[0])
                writer.writeheader()
                writer.writerows(votes)
                archive.writestr("ferplus_votes.csv", text.getvalue())
        with open(splits / f"{corpus}.csv", "w", newline="") as file:
            csv.writer(file).writerows([["corpus", "source", "split"], *sorted(rows)])
    return data, splits
