"""What a video is written to, on a full disk and in a folder that goes away: one line, and nothing half."""

import shutil
from pathlib import Path

import pytest

from gimefive_hf.cli import main
from gimefive_hf.video import analysis
from tests.cases.video_cases import moving_face, save_tiny, write_clip


@pytest.fixture(scope="module")
def call(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("clip")
    clip = write_clip(folder / "in.mp4", moving_face(24), audio="aac")
    return ["video", str(clip), "--model", str(save_tiny(folder / "model")), "--landmarks"]


@pytest.mark.parametrize("names", [["o.mp4"], ["t.csv"], ["t.parquet"], ["o.mp4", "t.csv"]])
def test_a_full_disk(call, tmp_path, capsys, small_files, names):
    outputs = [word for name in names for word in ("-o" if name == "o.mp4" else "--timeline", str(tmp_path / name))]
    small_files(6000)
    assert main([*call, *outputs]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error == f"gimefive video: {names[-1]} could not be written (File too large); make room and repeat the call"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["o.mp4", "t.csv"])
def test_the_folder_goes_away(call, tmp_path, capsys, monkeypatch, name):
    folder = tmp_path / "out"
    folder.mkdir()
    count = analysis.count

    def remove(*args) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        count(*args)

    monkeypatch.setattr(analysis, "count", remove)
    option = "-o" if name == "o.mp4" else "--timeline"
    assert main([*call, option, str(folder / name)]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error == f"gimefive video: {name} could not be written: its folder {folder} was removed during the run"
    assert not Path(folder).exists()
