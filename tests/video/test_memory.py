"""Memory does not grow with the length of a video or the number of images."""

import shutil

import numpy as np
import psutil
import pytest

from gimefive_hf.folders.scoring import score_folder
from gimefive_hf.video.analysis import annotate_video
from tests.cases.video_cases import image_folder, moving_face, tiny_recognizer, write_clip


def resident() -> float:
    """Megabytes of this process."""
    return psutil.Process().memory_info().rss / 1e6


@pytest.mark.slow  # decodes and encodes two and a half thousand frames
def test_video(tmp_path):
    fer = tiny_recognizer()
    frames = moving_face(25, 160, 120)
    short = write_clip(tmp_path / "short.mp4", frames * 10)
    long = write_clip(tmp_path / "long.mp4", frames * 100)
    highest = {}
    for path in (short, long):
        seen: list[float] = []
        options = {"every": 25, "progress": lambda done, total, seen=seen: seen.append(resident())}
        annotate_video(fer, path, tmp_path / "out.mp4", tmp_path / "t.csv", **options)
        highest[path.name] = max(seen)
    print(highest)
    assert highest["long.mp4"] - highest["short.mp4"] < 100


@pytest.mark.slow  # scores five thousand images
def test_score(tmp_path):
    fer = tiny_recognizer()
    folder = image_folder(tmp_path / "crops", 500, side=24)
    highest = {}
    for count in (500, 5000):
        for copy in range(count // 500 - 1):
            shutil.copytree(folder / "part0", folder / f"copy{copy}-0")
            shutil.copytree(folder / "part1", folder / f"copy{copy}-1")
            shutil.copytree(folder / "part2", folder / f"copy{copy}-2")
        seen: list[float] = []
        options = {"progress": lambda done, total, seen=seen: seen.append(resident()), "overwrite": True}
        assert score_folder(fer, folder, tmp_path / "s.csv", crops=True, **options).images == count
        highest[count] = max(seen)
    print(highest)
    assert highest[5000] - highest[500] < 30
    assert np.isfinite(list(highest.values())).all()
