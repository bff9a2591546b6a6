"""
Synthetic corpora in the real layouts: a bright bar whose place tells the class, so that a tiny network can learn.

Their files have names out of the real split lists, which so put them into training, validation and test.
"""

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from gimefive_hf.configuration_gimefive import EMOTIONS
from training.corpora.splits import SPLITS_DIR, read_list

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


def listed_names(corpus: str) -> dict[tuple[str, str], list[str]]:
    """(split, class folder) → paths of the real split list."""
    names: dict[tuple[str, str], list[str]] = {}
    for source, split in read_list(SPLITS_DIR / f"{corpus}.csv").items():
        names.setdefault((split, source.split("/")[-2]), []).append(source)
    return names


def write_corpora(folder: Path, per_class: int = 8, side: int = 32) -> Path:
    """Write raf-db.zip and fer2013.zip, with `per_class` images of every class in each of the three splits."""
    noise = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for corpus in ("raf-db", "fer2013"):
        names, votes = listed_names(corpus), []
        with zipfile.ZipFile(folder / f"{corpus}.zip", "w") as archive:
            for split in ("train", "validation", "test"):
                for name in EMOTIONS if corpus == "raf-db" else (*EMOTIONS, "neutral"):
                    place = str(RAF_FOLDERS[name]) if corpus == "raf-db" else FER_FOLDERS.get(name, name)
                    for source in names[split, place][:per_class]:
                        archive.writestr(source, draw(name, side, noise))
                        if corpus == "fer2013":
                            counts = dict.fromkeys((*EMOTIONS, "neutral", "contempt", "unknown", "NF"), 0)
                            votes.append({"file": source} | counts | {"fear": 2} | {name: 8})
            if votes:
                text = io.StringIO()
                writer = csv.DictWriter(text, votes[0])
                writer.writeheader()
                writer.writerows(votes)
                archive.writestr("ferplus_votes.csv", text.getvalue())
    return folder
