"""
How a photo really goes: photo in, label out, a face that is not found counts as wrong. Tables of plain numbers.

The protocol `detected` puts each test image into a scene, 128 px large; `detected/…` makes the face smaller, turned,
dark, blurred or half hidden. evaluation/results/face_poses.csv says how the found faces of the test images stand.
"""

import itertools
import re

import numpy as np
import pandas as pd

from gimefive_hf.emotions import EMOTIONS

from ..corpora import title_of
from ..metrics import share_interval
from ..queries import find_row, right_of
from ..store import Store

DEPLOYED = ("raf-db", "fer2013", "aggregate", "affectnet")
PROTOCOL = re.compile(r"detected/scene-(?P<face>\d+)(-roll(?P<roll>\d+))?(-(?P<corruption>[a-z_]+)(?P<strength>\d))?$")
# Bounds in degrees of the bins by which faces are told apart, from the mesh's landmarks.
POSE_BINS = {"roll": (0, 5, 10, 20, 90), "yaw": (0, 10, 20, 30, 90)}


def hard_rows(store: Store, model: str) -> pd.DataFrame:
    """
    One row per hard condition: `condition` ("size", "roll" or a corruption), `amount` (pixels of the face's side,
    degrees, strength), `found`, `right`, `images` and `found_share`, `right_share` with `_low` and `_high` (95 %,
    Wilson); a face that is not found is not right. The plain scene is size 128.
    """
    chosen = store.predictions_of(model)
    chosen = chosen[chosen["protocol"].str.startswith("detected")]
    chosen = chosen[(chosen["corpus"] == "raf-db") & chosen["label"].isin(EMOTIONS)]
    hard = chosen[chosen["protocol"] != "detected"]
    plain = chosen[(chosen["protocol"] == "detected") & chosen["source"].isin(hard["source"])]
    rows = []
    for protocol, frame in [("detected/scene-128", plain), *hard.groupby("protocol")]:
        told = PROTOCOL.match(protocol)
        if told is None or not len(frame):
            continue
        if told["roll"]:
            condition, amount = "roll", int(told["roll"])
        elif told["corruption"]:
            condition, amount = told["corruption"], int(told["strength"])
        else:
            condition, amount = "size", int(told["face"])
        rows.append({"condition": condition, "amount": amount} | count_faces(frame))
    table = pd.DataFrame(rows)
    return table.sort_values(["condition", "amount"], ignore_index=True) if rows else table


def count_faces(frame: pd.DataFrame) -> dict[str, float]:
    """`found`, `right`, `images`, their shares and intervals, of predictions in scenes."""
    found = frame["face_found"].to_numpy(bool)
    right = int(right_of(frame[found]).sum()) if found.any() else 0
    counts: dict[str, float] = {"found": int(found.sum()), "right": right, "images": len(frame)}
    for name in ("found", "right"):
        share = counts[name] / len(frame)
        low, high = share_interval(share, len(frame))
        counts |= {f"{name}_share": share, f"{name}_low": low, f"{name}_high": high}
    return counts


def pose_rows(store: Store, model: str, corpora: tuple[str, ...] = ("raf-db", "fer2013", "affectnet")) -> pd.DataFrame:
    """
    Accuracy of found test faces by how they stand: `pose` ("roll" or "yaw"), `least` and `most` degrees (absolute),
    and the columns of `count_faces`, of which `found` is all. Empty without face_poses.csv or predictions.
    """
    poses = store.extras.get("face_poses")
    chosen = store.predictions_of(model)
    chosen = chosen[chosen["protocol"] == "detected"]
    chosen = chosen[chosen["corpus"].isin(corpora) & chosen["label"].isin(EMOTIONS)]
    if poses is None or not len(chosen):
        return pd.DataFrame()
    frame = chosen.merge(poses, on=["corpus", "source"])
    rows = []
    for pose, bounds in POSE_BINS.items():
        degrees = np.abs(frame[pose].to_numpy())
        for least, most in itertools.pairwise(bounds):
            part = frame[(degrees >= least) & (degrees < most)]
            if len(part):
                rows.append({"pose": pose, "least": least, "most": most} | count_faces(part))
    return pd.DataFrame(rows)


def posed_corpora(store: Store) -> str:
    """The titles of the corpora whose faces' poses are known, as a list in words."""
    return ", ".join(title_of(name) for name in sorted(store.extras["face_poses"]["corpus"].unique()))


def deployed_row(store: Store, model: str, corpus: str, metric: str = "accuracy_of_all") -> pd.Series | None:
    """The row of results.csv for photo in, label out; `metric` may also be "faces_found" or "accuracy" of the found."""
    return find_row(store, model, metric, corpus=corpus, protocol="detected")
