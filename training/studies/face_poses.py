"""
How the faces of the test images stand: eye distance, roll and yaw, from the landmarks found in their scenes.

    python -m training.studies.face_poses --data DIR      # writes evaluation/results/face_poses.csv
"""

import argparse

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.store import write_table
from gimefive_hf.faces.landmarks import LANDMARK_GROUPS

from ..measuring.detections import find_faces
from ..measuring.evaluate import DETECTED, read_images
from ..script import Script

COLUMNS = ["corpus", "source", "eye_distance", "roll", "yaw"]
NOSE_TIP, JAW_ENDS = 30, (0, 16)


def measure_poses(landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    """
    Landmarks (n, 68, 2) in pixels → (n, 3): distance of the eyes' centres in pixels, roll and yaw in degrees.

    Roll is positive for a head turned clockwise in the picture. Yaw is an estimate: on a round head whose nose stands
    out by a tenth, the tip lies 1.1 tan(yaw) half widths off the middle between the jaw's ends.
    """
    right, left = (landmarks[:, LANDMARK_GROUPS[name]].mean(1) for name in ("right eye", "left eye"))
    eyes = (left - right).astype(np.float64)
    distance = np.hypot(*eyes.T)
    level = eyes / distance[:, None]
    ends = landmarks[:, JAW_ENDS].astype(np.float64)
    off = ((landmarks[:, NOSE_TIP] - ends.mean(1)) * level).sum(1)
    half = np.abs(((ends[:, 1] - ends[:, 0]) * level).sum(1)) / 2
    return np.stack(
        [distance, np.degrees(np.arctan2(eyes[:, 1], eyes[:, 0])), np.degrees(np.arctan(off / half / 1.1))], 1
    )


def main(argv: list[str] | None = None) -> int:
    parser = Script("training.studies.face_poses", __doc__, data=True, store="--store")
    parser.add_argument("--corpora", nargs="+", choices=DETECTED, default=list(DETECTED))
    return parser.run(run, argv)


def run(args: argparse.Namespace) -> None:
    tables = []
    for corpus in args.corpora:
        images = read_images(args.data, corpus, "test", 6)
        faces = find_faces(corpus, "test", images.images, images.sources)
        measured = pd.DataFrame(measure_poses(faces.landmarks[faces.found]).round(2), columns=COLUMNS[2:])
        tables.append(measured.assign(corpus=corpus, source=np.array(images.sources)[faces.found]))
    table = pd.concat(tables, ignore_index=True)
    write_table(args.store / "face_poses.csv", table, COLUMNS, COLUMNS[:2])
    print(f"face_poses.csv: {len(table):,} faces")


if __name__ == "__main__":
    raise SystemExit(main())
