"""
Training images as they are really met: found by our detector, in a scene or as a whole photo, and cropped by it.

    python -m training.detected_crops --data DIR --out DIR [--corpus raf-db …] [--images 4500]
    python -m training.train … --detected DIR

One file per corpus, CORPUS.safetensors: the crops, and the training images to which they belong. An image
stands once, every second time in a scene and else alone as the whole photo. A search takes 50 ms, so only so many
`--images`, drawn by a seed, are searched; the others borrow what was found in one of these, at the same place of the
image: within a corpus the faces lie alike, and what differs is jitter, as a detector has it.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from evaluation.corpora import corpora_with
from gimefive_hf.faces.cropping import crop_face
from gimefive_hf.faces.detections import Detection
from gimefive_hf.tables import whole_file

from .corpora.crops import Crops, read_crops
from .measuring.detections import Way, find_faces, to_tensor
from .measuring.scenes import Scene, scene_seed
from .script import Script

WAYS = (Way(), Way(face=0))
CORPORA = ("raf-db", "fer2013", "affectnet", "muxspace")


def cut_crops(crops: Crops, corpus: str, images: int, cache: Path | None = None) -> tuple[Tensor, list[str]]:
    """
    The crops that the detector makes of training images uint8 RGB (n, 3, side, side), and the sources of those in
    which it found the face: uint8 grey (m, 1, side, side). At most so many `images` are searched.
    """
    searched = set(draw_images(crops, images).sources)
    seeds = [scene_seed(corpus, source) for source in crops.sources]
    cut, sources = [], []
    for turn, way in enumerate(WAYS):
        some = crops.select(torch.tensor([seed % len(WAYS) == turn for seed in seeds], dtype=torch.bool))
        own = torch.tensor([source in searched for source in some.sources], dtype=torch.bool)
        found = Detected(some.select(own), corpus, way, cache)
        for image, source in zip(some.images, some.sources, strict=True):
            scene = way.scene(image, scene_seed(corpus, source))
            face = found.detection(source, scene)
            if face is not None:
                cut.append(grey(to_tensor(crop_face(scene.image, face).image), crops.images.shape[-1]))
                sources.append(source)
    return torch.stack(cut), sources


class Detected:
    """Where the faces of a corpus's images are found in their scenes, and where those of others may be supposed."""

    def __init__(self, crops: Crops, corpus: str, way: Way, cache: Path | None):
        self.crops, self.corpus, self.way = crops, corpus, way
        self.faces = find_faces(corpus, "train", list(crops.images), crops.sources, way, cache)
        self.places = {source: place for place, source in enumerate(crops.sources)}
        self.lenders = np.flatnonzero(self.faces.found)
        self.generator = np.random.default_rng(len(crops))

    def detection(self, source: str, scene: Scene) -> Detection | None:
        """The face of an image: its own, None if it was looked for and not found, or a borrowed one."""
        place = self.places.get(source)
        if place is not None:
            return self.faces.detection(place) if self.faces.found[place] else None
        if not len(self.lenders):
            return None
        lender = int(self.generator.choice(self.lenders))
        # Made anew: those of thousands of images would take a gigabyte.
        theirs = self.way.scene(self.crops.images[lender], scene_seed(self.corpus, self.crops.sources[lender]))
        return moved(self.faces.detection(lender), theirs, scene)


def moved(face: Detection, scene: Scene, other: Scene) -> Detection:
    """A face of one scene in another, at the same place of the crop that stands there."""
    share = other.side / scene.side
    x, y, width, height = face.box
    (x, y), *points = (
        (np.array(point) - scene.centre) * share + other.centre for point in ((x, y), *face.keypoints.tolist())
    )
    return Detection((x, y, width * share, height * share), face.score, np.array(points, np.float32))


def grey(face: Tensor, side: int) -> Tensor:
    """uint8 RGB (3, h, h) → (1, side, side), ITU-R 601 luma as for all training crops."""
    luma = (face.float() * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0, keepdim=True)
    resized = F.interpolate(luma[None], size=(side, side), mode="bilinear", antialias=True, align_corners=False)
    return resized[0].round().clamp(0, 255).to(torch.uint8)


def draw_images(crops: Crops, images: int, seed: int = 5) -> Crops:
    """At most so many of the crops."""
    order = torch.randperm(len(crops), generator=torch.Generator().manual_seed(seed))
    return crops.select(order[:images].sort().values)


def with_detected(crops: Crops, folder: Path, corpus: str) -> Crops:
    """
    The crops with the variants that the detector cut, if `folder` has a file of the corpus.

    Raises ValueError for a file that cannot be read, or whose crops are of another size or of none of these images.
    """
    path = folder / f"{corpus}.safetensors"
    if not path.is_file():
        return crops
    try:
        with safe_open(path, framework="pt") as file:
            cut, sources = file.get_tensor("images"), json.loads(file.metadata()["sources"])
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} cannot be read as crops of training.detected_crops: {error}") from error
    places = {source: place for place, source in enumerate(sources)}
    at = torch.tensor([places.get(source, -1) for source in crops.sources])
    if cut.dtype != torch.uint8 or len(cut) != len(sources) or cut.shape[1:] != crops.images.shape[1:] or at.max() < 0:
        raise ValueError(
            f"{path} does not fit {corpus}: {tuple(cut.shape)} for images of {tuple(crops.images.shape[1:])}, "
            f"{int((at >= 0).sum())} of which it has"
        )
    return replace(crops, detected=cut, detected_at=at)


def main(argv: list[str] | None = None) -> int:
    parser = Script("training.detected_crops", __doc__, data=True)
    parser.add_argument("--out", type=Path, required=True, help="folder of the files that are made")
    parser.add_argument("--corpus", nargs="+", choices=corpora_with(train=True), default=CORPORA)
    parser.add_argument("--images", type=int, default=4500, help="of each corpus, searched at most")
    parser.add_argument("--cache", type=Path, help="folder of what was found")
    return parser.run(run, argv)


def run(args: argparse.Namespace) -> None:
    args.out.mkdir(parents=True, exist_ok=True)
    for corpus in args.corpus:
        crops = read_crops(args.data, corpus, "train", grey=False)
        cut, sources = cut_crops(crops, corpus, args.images, args.cache)
        with whole_file(args.out / f"{corpus}.safetensors") as part:
            save_file({"images": cut}, part, metadata={"sources": json.dumps(sources)})
        print(f"{corpus}: {len(cut)} of {len(crops)} faces cropped to {cut.shape[-1]} px", flush=True)


if __name__ == "__main__":
    sys.exit(main())
