"""Scoring folders: rows, reasons, resuming after kills, flat memory."""

import csv
import multiprocessing
import os
import random
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from gimefive_hf import EMOTIONS, ExpressionRecognizer, from_pretrained
from gimefive_hf.cli import main
from gimefive_hf.folders.journal import Journal
from gimefive_hf.folders.listing import find_images
from gimefive_hf.folders.scoring import score_folder
from gimefive_hf.runtimes.backends import FAST, load_predictor
from gimefive_hf.tables import TableWriter
from tests.cases.video_cases import face_photo, image_folder, save_tiny


def read_rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_file_is_a_row(tmp_path, fer):
    photos = tmp_path / "photos"
    (photos / "deep" / "deeper").mkdir(parents=True)
    face = face_photo()
    Image.fromarray(np.concatenate([face[:, 80:400], face[:, 80:400]], axis=1)).save(photos / "deep" / "two.png")
    Image.fromarray(face).save(photos / "deep" / "deeper" / "one.JPG")
    Image.fromarray(np.full((100, 100, 3), 77, np.uint8)).save(photos / "empty.png")
    (photos / "text.jpg").write_text("no image")
    (photos / "cut.png").write_bytes((photos / "deep" / "two.png").read_bytes()[:5000])
    (photos / "notes.txt").write_text("not an image, and not named as one")

    summary = score_folder(fer, photos, tmp_path / "scores.csv")

    rows = read_rows(tmp_path / "scores.csv")
    assert list(rows[0]) == [
        *("filepath", "face", "x", "y", "width", "height", "detection_score"),
        *EMOTIONS,
        *("emotion", "confidence", "error"),
    ]
    by_file = {name: [row for row in rows if row["filepath"] == name] for name in {row["filepath"] for row in rows}}
    assert sorted(by_file) == ["cut.png", "deep/deeper/one.JPG", "deep/two.png", "empty.png", "text.jpg"]
    assert [row["face"] for row in by_file["deep/two.png"]] == ["1", "2"]
    assert by_file["empty.png"][0]["error"] == "no face found"
    assert by_file["text.jpg"][0]["error"] == "not an image, or of an unknown format"
    assert "broken image" in by_file["cut.png"][0]["error"]
    assert by_file["text.jpg"][0]["happiness"] == "", "missing is not zero"
    assert (summary.images, summary.faces, summary.without_face, summary.failed) == (5, 3, 1, 2)
    assert summary.skipped_files == 1
    assert [path.name for path in tmp_path.iterdir() if path.name != "photos"] == ["scores.csv"]

    # the same numbers as the recogniser gives for the photo
    expected = fer(photos / "deep" / "deeper" / "one.JPG", landmarks=False)[0]
    row = by_file["deep/deeper/one.JPG"][0]
    np.testing.assert_allclose([float(row[name]) for name in EMOTIONS], list(expected.scores.values()), atol=2e-6)
    np.testing.assert_allclose([float(row[name]) for name in ("x", "y", "width", "height")], expected.box, atol=0.51)
    assert row["emotion"] == expected.emotion
    assert float(row["confidence"]) == pytest.approx(expected.score, abs=2e-6)


def test_crops_give_the_papers_table_in_both_formats(tmp_path, fer, monkeypatch):
    folder = image_folder(tmp_path / "crops", 50)
    score_folder(fer, folder, tmp_path / "a.csv", crops=True, decimals=2, batch_size=7)
    monkeypatch.setattr("gimefive_hf.folders.batches.HELD_PIXELS", 5000)  # three of these crops are more
    score_folder(fer, folder, tmp_path / "a.parquet", crops=True, batch_size=16, workers=1)

    table = pd.read_parquet(tmp_path / "a.parquet")
    assert list(table.columns) == ["filepath", *EMOTIONS, "error"]
    assert len(table) == 50
    assert table["error"].isna().all()
    names = sorted(f"{path.parent.name}/{path.name}" for path in folder.glob("*/*.jpg"))
    assert table["filepath"].tolist() == names
    expected = fer.score_crops([np.asarray(Image.open(folder / name)) for name in names])
    np.testing.assert_allclose(table[list(EMOTIONS)].to_numpy(), expected, atol=2e-6)
    rows = read_rows(tmp_path / "a.csv")
    assert [row["filepath"] for row in rows] == names
    assert rows[0]["happiness"] == f"{expected[0, 0]:.2f}"


def test_a_journal_torn_anywhere_is_continued(tmp_path):
    """Whatever a kill leaves of what SQLite wrote last, every image is in it once, whole, after the next run."""
    names = ["a/ä.jpg", "b.jpg", "c.jpg"]
    rows = {name: [[0.1 * index, 0.5]] * (index + 1) for index, name in enumerate(names)}
    journal = Journal(tmp_path / "whole", {"model": "m"})
    for name in names:
        journal.append(name, rows[name])
        journal.flush()
    main, log = ((tmp_path / f"whole{end}").read_bytes() for end in ("", "-wal"))
    journal.close()
    found = set()
    for size in [*range(0, len(log), 509), len(log)]:
        path = tmp_path / "torn"
        path.write_bytes(main)
        (tmp_path / "torn-wal").write_bytes(log[:size])
        journal = Journal(path, {"model": "m"})
        found.add(len(journal.done))
        for name in names:
            if name not in journal.done:
                journal.append(name, rows[name])
        assert list(journal.entries()) == list(rows.items())
        journal.delete()
    assert found == {0, 1, 2, 3}
    assert [file.name for file in tmp_path.iterdir()] == ["whole"]


def test_a_run_is_not_continued_with_other_settings(tmp_path, fer):
    Journal(tmp_path / ".s.csv.journal", {"network": "another"}).close()
    folder = image_folder(tmp_path / "crops", 2)
    with pytest.raises(ValueError, match="network='another'"):
        score_folder(fer, folder, tmp_path / "s.csv", crops=True)
    first = Journal(tmp_path / "held", {})
    with pytest.raises(ValueError, match="another run"):
        Journal(tmp_path / "held", {})
    first.close()
    (tmp_path / "foreign").write_text("a,b\n1,2\n" * 99)
    with pytest.raises(ValueError, match="not a journal"):
        Journal(tmp_path / "foreign", {})


def score_in_child(model: str, folder: str, output: str) -> None:
    import torch

    torch.set_num_threads(1)
    from gimefive_hf import from_pretrained

    score_folder(from_pretrained(model), folder, output, crops=True, batch_size=4, workers=2)


@pytest.mark.slow  # twenty processes, each of which loads the model and is killed
def test_twenty_kills_lose_nothing_and_double_nothing(tmp_path, fer, monkeypatch):
    """SIGKILL at random moments of a real process; each life gets at most 30 images further."""
    count, kills, most = 700, 20, 30
    folder = image_folder(tmp_path / "crops", count, side=24)
    model = save_tiny(tmp_path / "model")
    output, journal = tmp_path / "scores.csv", tmp_path / ".scores.csv.journal-wal"
    context = multiprocessing.get_context("forkserver")
    # imports once, so that a life begins with little delay; the server sees the path in the environment only
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    context.set_forkserver_preload(["tests.folders.test_score", "gimefive_hf.folders.scoring"])
    chance = random.Random(5)
    sizes = []
    for _ in range(kills):
        before = journal.stat().st_size if journal.exists() else 0
        child = context.Process(target=score_in_child, args=(str(model), str(folder), str(output)))
        child.start()
        # a batch of four takes one page or two
        target = before + 1500 * chance.randrange(0, most)
        while child.is_alive() and (journal.stat().st_size if journal.exists() else 0) <= target:
            time.sleep(0.001)
        time.sleep(chance.random() * 0.004)
        child.kill()
        child.join()
        assert child.exitcode == -9, "the child ended before it was killed"
        sizes.append(journal.stat().st_size)
    assert len(set(sizes)) > kills // 2, "the kills must hit different moments"
    assert not output.exists()

    summary = score_folder(from_pretrained(model), folder, output, crops=True, batch_size=4)
    assert 0 < summary.resumed < count
    names = [row["filepath"] for row in read_rows(output)]
    assert len(names) == count
    assert set(names) == {f"{path.parent.name}/{path.name}" for path in folder.glob("*/*.jpg")}
    score_folder(fer, folder, tmp_path / "whole.csv", crops=True)
    interrupted = pd.read_csv(output).sort_values("filepath")
    whole = pd.read_csv(tmp_path / "whole.csv").sort_values("filepath")
    np.testing.assert_allclose(interrupted[list(EMOTIONS)], whole[list(EMOTIONS)], atol=5e-6)
    assert not journal.exists()


def test_a_name_stays_in_its_row(tmp_path, fer):
    """Line ends and quotes in names, as any reader of CSV must get them back."""
    names = ["a\rb.jpg", "c\nd.jpg", 'e"f,g.jpg']
    (tmp_path / "crops").mkdir()
    for name in names:
        Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / "crops" / name)
    score_folder(fer, tmp_path / "crops", tmp_path / "s.csv", crops=True)
    assert [row["filepath"] for row in read_rows(tmp_path / "s.csv")] == names
    assert pd.read_csv(tmp_path / "s.csv")["filepath"].tolist() == names
    lines = (tmp_path / "s.csv").read_bytes().split(b"\n")
    assert not lines[0].endswith(b"\r")


def test_files_that_cannot_be_read_are_named_and_told_by_the_exit_code(tmp_path, capsys):
    folder = image_folder(tmp_path / "crops", 3)
    for index in range(25):
        (folder / f"broken{index:02d}.jpg").write_text("no image")
    (folder / "\x1b[31mred\r.jpg").write_text("no image")
    call = ["score", str(folder), "--crops", "--model", str(save_tiny(tmp_path / "model"))]
    assert main([*call, "-o", str(tmp_path / "s.csv")]) == 2
    error = capsys.readouterr().err
    assert "gimefive score: broken00.jpg: not an image" in error
    assert "and 6 more that could not be read: see the column error" in error
    assert "\\x1b[31mred\\r.jpg: not an image" in error, "a name must not steer the terminal"
    assert "29 images" in error
    assert len(read_rows(tmp_path / "s.csv")) == 29, "the others are done all the same"


def test_names_that_are_not_utf8(tmp_path, fer):
    folder = tmp_path / "crops"
    folder.mkdir()
    data = (image_folder(tmp_path / "x", 1) / "part0" / "00000.jpg").read_bytes()
    for name in (b"a\xff.jpg", b"a\xfe.jpg", 'grün, "q".jpg'.encode()):
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:
            file.write(data)
    score_folder(fer, folder, tmp_path / "s.csv", crops=True)
    assert [row["filepath"] for row in read_rows(tmp_path / "s.csv")] == [
        "a\\udcfe.jpg", "a\\udcff.jpg", 'grün, "q".jpg',
    ]  # fmt: skip


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "ok").mkdir()
    (tmp_path / "shut").mkdir()
    (tmp_path / "ok" / "a.jpg").write_bytes(b"")
    scandir = os.scandir

    def refuse(path):  # a test may run as root, whom no permission stops
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert list(find_images(tmp_path)) == [("ok/a.jpg", None), ("shut", "folder may not be read (Permission denied)")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "-o", "s.csv"], "no such folder"),
        (["crops", "-o", "s.txt"], "must end in .csv or .parquet"),
        (["crops", "-o", "missing/s.csv"], "does not exist"),
        (["crops", "-o", "old.csv"], "exists already"),
        (["crops", "-o", "s.csv", "--batch-size", "0"], "at least 1"),
        (["crops", "-o", "s.csv", "--backend", "onnx", "--precision", "bf16"], "own precision"),
    ],
)
def test_mistakes_end_with_code_2_and_leave_nothing(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    image_folder(tmp_path / "crops", 2)
    save_tiny(tmp_path / "model")
    (tmp_path / "old.csv").write_text("old")
    before = sorted(tmp_path.iterdir())
    assert main(["score", *arguments, "--model", "model", "--crops"]) == 2
    assert message in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "old.csv").read_text() == "old"


def test_the_command(tmp_path, capsys):
    folder = image_folder(tmp_path / "crops", 5)
    model = save_tiny(tmp_path / "model")
    call = ["score", str(folder), "-o", str(tmp_path / "s.parquet"), "--crops", "--model", str(model)]
    assert main(call) == 0
    assert "5 images (0 of them scored before), 5 faces" in capsys.readouterr().err
    assert main(call) == 2
    assert main([*call, "--overwrite", "--precision", "bf16"]) == 0
    assert len(pd.read_parquet(tmp_path / "s.parquet")) == 5


def test_the_fast_network_is_the_bundled_one(tmp_path, capsys):
    """`--fast`: photos and all, and the int8 file in the package says what the weights beside it say."""
    fast, exact = ExpressionRecognizer(load_predictor(**FAST)), from_pretrained(FAST["model"])
    assert fast.predictor.precision == "int8"
    for name in ("emotions", "threshold", "side"):
        assert getattr(fast.predictor, name) == getattr(exact.predictor, name), name
    photo = face_photo()
    Image.fromarray(photo).save(tmp_path / "a.jpg")
    assert main(["score", str(tmp_path), "-o", str(tmp_path / "s.csv"), "--fast"]) == 0
    (row,) = read_rows(tmp_path / "s.csv")
    expected = exact(photo)[0].scores
    assert row["emotion"] == max(expected, key=expected.__getitem__)
    assert {name: float(row[name]) for name in EMOTIONS} == pytest.approx(expected, abs=0.1)
    capsys.readouterr()
    assert main(["score", str(tmp_path), "-o", str(tmp_path / "t.csv"), "--fast", "--single-view"]) == 2
    assert "leave out --single-view" in capsys.readouterr().err


def test_an_empty_folder_gives_an_empty_table(tmp_path, fer):
    (tmp_path / "none").mkdir()
    score_folder(fer, tmp_path / "none", tmp_path / "s.parquet")
    assert len(pd.read_parquet(tmp_path / "s.parquet")) == 0


def test_a_failed_table_leaves_the_old_one(tmp_path):
    (tmp_path / "t.csv").write_text("old")
    with pytest.raises(ValueError, match="abc"), TableWriter(tmp_path / "t.csv", {"a": int}) as table:
        table.write({"a": int("abc")})
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    assert (tmp_path / "t.csv").read_text() == "old"
