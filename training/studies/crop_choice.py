"""
Choose how a found face is cropped: margin, lift and what happens at the photo's border, on held-out images alone.

    python -m training.studies.crop_choice --data DIR --model gimefive gimefive-fast --out crop_choice.csv

Each held-out image of RAF-DB, FER2013 and AffectNet is put back into a scene, and once stands alone as the whole photo;
our detector finds it, and every crop of the grid is scored. Rows that the table has already are not computed again.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from torch import Tensor

from evaluation.store import DEFAULT_STORE
from gimefive_hf.emotions import EMOTIONS
from gimefive_hf.faces.cropping import crop_face
from gimefive_hf.faces.detections import Detection

from ..corpora.crops import read_crops
from ..evaluate import score_images
from ..testing.detections import Way, find_faces, to_tensor
from ..testing.scenes import Scene, scene_seed
from ..testing.scorers import Scorer, load_scorer

CORPORA = ("raf-db", "fer2013", "affectnet")
WAYS = {"scene": Way(), "bare": Way(face=0)}
COLUMNS = ["model", "revision", "corpus", "way", "every", "margin", "lift", "border", "right", "found", "images"]
KEY = COLUMNS[:8]


@dataclass(frozen=True)
class Framing:
    """
    One point of the grid. `border`: "fit" shrinks the crop to the photo, down to the face box, and repeats the last
    pixels beyond; "repeat", "reflect" and "black" only fill.
    """

    margin: float
    lift: float
    border: str

    def crop(self, scene: Scene, face: Detection) -> Tensor:
        """uint8 RGB (3, side, side)."""
        fill = {"reflect": cv2.BORDER_REFLECT_101, "black": cv2.BORDER_CONSTANT}.get(self.border, cv2.BORDER_REPLICATE)
        least = 1.0 if self.border == "fit" else self.margin
        return to_tensor(crop_face(scene.image, face, self.margin, lift=self.lift, least=least, border=fill).image)


BORDERS = ("fit", "repeat", "reflect", "black")


def make_grid(margins: list[float], lifts: list[float], borders: list[str]) -> list[Framing]:
    return [Framing(*point) for point in itertools.product(margins, lifts, borders)]


def count_right(scorer: Scorer, crops: list[Tensor], labels: np.ndarray) -> int:
    """How many are right among the six."""
    scores = score_images(scorer, crops, 64)[:, : len(EMOTIONS)]
    return int((scores.argmax(1) == labels).sum())


def try_framings(scorer: Scorer, data: Path, grid: list[Framing], every: int, known: set[tuple]) -> Iterator[dict]:
    """Rows of COLUMNS, and of the aligned crops themselves (border "aligned"), for what is not `known`."""
    for corpus, (way_name, way) in itertools.product(CORPORA, WAYS.items()):
        base = {"model": scorer.name, "revision": scorer.revision, "corpus": corpus, "way": way_name, "every": every}
        wanted = [
            f for f in (Framing(0.0, 0.0, "aligned"), *grid) if (*base.values(), *asdict(f).values()) not in known
        ]
        if not wanted:
            continue
        crops = read_crops(data, corpus, "validation", grey=False)
        pixels, labels = list(crops.images), crops.labels.numpy()
        found = find_faces(corpus, "validation", pixels, crops.sources, way)
        chosen = np.flatnonzero(labels < len(EMOTIONS))[::every]
        seen = chosen[found.found[chosen]]
        scenes = {i: way.scene(pixels[i], scene_seed(corpus, crops.sources[i])) for i in seen}
        for framing in wanted:
            if framing.border == "aligned":
                cut = [pixels[i] for i in seen]
            else:
                cut = [framing.crop(scenes[i], found.detection(i)) for i in seen]
            right = count_right(scorer, cut, labels[seen])
            yield base | asdict(framing) | {"right": right, "found": len(seen), "images": len(chosen)}


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Accuracy in % over the found faces, mean over the corpora, by model, way and framing."""
    table = table.assign(accuracy=100 * table["right"] / table["found"])
    wide = table.pivot_table(index=["model", "way", "margin", "lift", "border"], columns="corpus", values="accuracy")
    return wide.assign(mean=wide.mean(axis=1)).round(1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the corpora")
    parser.add_argument("--model", nargs="+", default=["gimefive"], help="as for training.evaluate")
    parser.add_argument("--margins", nargs="+", type=float, default=[1.0, 1.05, 1.1, 1.2])
    parser.add_argument("--lifts", nargs="+", type=float, default=[0.09, 0.1, 0.12])
    parser.add_argument("--borders", nargs="+", choices=BORDERS, default=["fit"])
    parser.add_argument("--every", type=int, default=1, help="only every so many-th held-out image")
    parser.add_argument("--out", type=Path, default=DEFAULT_STORE / "crop_choice.csv")
    args = parser.parse_args()
    table = pd.read_csv(args.out) if args.out.is_file() else pd.DataFrame(columns=COLUMNS)
    rows = table.to_dict("records")
    try:
        for model in args.model:
            scorer = load_scorer(model)
            known = set(table[KEY].itertuples(index=False, name=None))
            began = time.perf_counter()
            grid = make_grid(args.margins, args.lifts, args.borders)
            for row in try_framings(scorer, args.data, grid, args.every, known):
                rows.append(row)
                table = pd.DataFrame(rows, columns=COLUMNS)
                table.sort_values(KEY).to_csv(args.out, index=False, lineterminator="\n")
            print(f"{scorer.name}: {time.perf_counter() - began:.0f} s")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(summary(table).to_string())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
