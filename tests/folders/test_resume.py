"""Going on with a stopped `gimefive score`: only with what is the same, and whatever became of the disk meanwhile."""

import errno
import os
import resource
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

from gimefive_hf import EMOTIONS
from gimefive_hf.cli import main
from gimefive_hf.folders.journal import Journal
from gimefive_hf.folders.scoring import recognizer_identity, score_folder
from gimefive_hf.tables import TableWriter
from tests.cases.video_cases import image_folder, save_tiny, tiny_recognizer
from tests.folders.test_score import read_rows


def interrupt(fer, folder: Path, output: Path, after: int) -> None:
    """Score `after` images, one by one, then stop as Ctrl-C does."""

    def stop(done: int, total: int) -> None:
        if done == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_folder(fer, folder, output, crops=True, batch_size=1, workers=1, progress=stop)


def scores(path: Path) -> dict[str, list]:
    """Rounded: the last digit depends on which images are scored together."""
    return {row["filepath"]: [round(float(row[name]), 4) for name in EMOTIONS] for row in read_rows(path)}


def test_another_folder_of_the_same_name_is_another_run(tmp_path, fer):
    """128 of 400 rows were once those of A under the names of B."""
    image_folder(tmp_path / "A" / "photos", 6)
    image_folder(tmp_path / "B" / "photos", 6, side=60)
    interrupt(fer, tmp_path / "A" / "photos", tmp_path / "s.csv", after=3)
    with pytest.raises(ValueError, match=r"belongs to an unfinished run with other settings \(folder="):
        score_folder(fer, tmp_path / "B" / "photos", tmp_path / "s.csv", crops=True)
    (tmp_path / "link").symlink_to("A/photos")  # another way to the same folder goes on with its run
    assert score_folder(fer, tmp_path / "link", tmp_path / "s.csv", crops=True).resumed == 3


def test_images_that_are_others_now_are_scored_again(tmp_path, fer, capsys):
    folder, output = image_folder(tmp_path / "crops", 6), tmp_path / "s.csv"
    interrupt(fer, folder, output, after=4)  # part0/0, part0/3, part1/1, part1/4
    before = (folder / "part0" / "00000.jpg").stat()
    (folder / "part0" / "00000.jpg").write_bytes((folder / "part2" / "00002.jpg").read_bytes())
    time = (folder / "part0" / "00003.jpg").stat()
    (folder / "part0" / "00003.jpg").write_bytes((folder / "part2" / "00005.jpg").read_bytes())
    os.utime(folder / "part0" / "00003.jpg", ns=(time.st_atime_ns, time.st_mtime_ns))  # its size tells
    (folder / "part1" / "00001.jpg").unlink()
    (folder / "new.jpg").write_bytes((folder / "part2" / "00002.jpg").read_bytes())
    assert before.st_mtime_ns != (folder / "part0" / "00000.jpg").stat().st_mtime_ns
    summary = score_folder(fer, folder, output, crops=True)
    assert (summary.images, summary.resumed, summary.changed) == (6, 1, 2)
    fresh = tmp_path / "fresh.csv"
    score_folder(fer, folder, fresh, crops=True)
    assert scores(output) == scores(fresh)
    assert len(read_rows(output)) == 6, "no image twice"


def test_the_command_says_what_it_scored_again(tmp_path, fer, capsys):
    folder, model = image_folder(tmp_path / "crops", 4), save_tiny(tmp_path / "model")
    from gimefive_hf import from_pretrained

    interrupt(from_pretrained(str(model)), folder, tmp_path / "s.csv", after=2)
    os.utime(folder / "part0" / "00000.jpg", (0, 0))
    call = ["score", str(folder), "-o", str(tmp_path / "s.csv"), "--crops", "--precision", "fp32"]
    assert main([*call, "--model", str(model)]) == 0
    assert "4 images (1 of them scored before, 1 changed since and scored again)" in capsys.readouterr().err


def test_a_recognisers_identity_is_what_decides_its_scores(tmp_path):
    """Not its name: other weights in the same folder are another network, the same ones elsewhere are not."""
    from gimefive_hf import from_pretrained

    save_tiny(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    one, two = (recognizer_identity(from_pretrained(str(tmp_path / name))) for name in ("one", "two"))
    assert one == two
    assert recognizer_identity(from_pretrained(str(tmp_path / "one"), precision="bf16")) != one
    assert recognizer_identity(from_pretrained(str(tmp_path / "one"), flip_average=True)) != one
    other = tiny_recognizer()
    with torch.no_grad():
        next(other.model.parameters()).view(-1)[0] += 1e-6
    assert recognizer_identity(other) != recognizer_identity(tiny_recognizer())
    fast = from_pretrained("gimefive-fast", backend="onnx")
    assert recognizer_identity(fast) == recognizer_identity(from_pretrained("gimefive-fast", backend="onnx"))


def test_a_damaged_journal_is_refused_in_one_line(tmp_path):
    path = tmp_path / "j"
    journal = Journal(path, {})
    for index in range(2000):
        journal.append(f"{index}.jpg", [[0.5] * 6])
    journal.close()
    data = path.read_bytes()
    path.write_bytes(data[:8192] + bytes(len(data) // 2) + data[8192 + len(data) // 2 :])
    with pytest.raises(ValueError, match=r"^j is not a journal of this command, or is damaged; move it away$"):
        list(Journal(path, {}).entries())


def test_the_journal_removed_during_a_run(tmp_path, fer):
    folder, output = image_folder(tmp_path / "crops", 6), tmp_path / "s.csv"

    def remove(done: int, total: int) -> None:
        (tmp_path / ".s.csv.journal").unlink(missing_ok=True)

    score_folder(fer, folder, output, crops=True, batch_size=1, progress=remove)
    assert len(read_rows(output)) == 6


@pytest.mark.parametrize("name", ["s.csv", "s.parquet"])
def test_the_outputs_folder_removed_during_a_run(tmp_path, fer, name):
    folder, out = image_folder(tmp_path / "crops", 6), tmp_path / "out"
    out.mkdir()
    with pytest.raises(OSError, match=r"could not be written: its folder .* was removed during the run"):
        score_folder(
            *(fer, folder, out / name),
            crops=True,
            batch_size=1,
            progress=lambda done, total: shutil.rmtree(out, ignore_errors=done == 3) if done >= 3 else None,
        )


@pytest.mark.parametrize("name", ["s.csv", "s.parquet"])
def test_a_disk_that_fills(tmp_path, small_files, capsys, name):
    """First within the journal, then within the table: one line each, nothing half, and with room it is finished."""
    folder, model = image_folder(tmp_path / "crops", 120), save_tiny(tmp_path / "model")
    call = ["score", str(folder), "-o", str(tmp_path / name), "--crops", "--model", str(model), "--precision", "fp32"]
    call += ["--batch-size", "10"]
    small_files(60_000)
    assert main(call) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"gimefive score: .{name}.journal could not be written (disk I/O error); when that is mended" in error
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [f".{name}.journal", "crops", "model"]
    small_files(resource.RLIM_INFINITY)
    assert main(call) == 0
    error = capsys.readouterr().err
    assert "120 images" in error
    assert "(0 of them" not in error, "goes on from what was scored"
    assert not (tmp_path / f".{name}.journal").exists()


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_no_half_table_on_a_full_disk(tmp_path, small_files, name):
    (tmp_path / name).write_text("old")
    small_files(3000)

    def write() -> None:
        with TableWriter(tmp_path / name, {"a": str}) as table:
            for index in range(20_000):
                table.write({"a": f"row {index * 7919}"})

    with pytest.raises(OSError, match="File too large"):
        write()
    small_files(resource.RLIM_INFINITY)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "old"


def test_a_failed_image_is_tried_again_when_it_is_mended(tmp_path, fer):
    folder, output = image_folder(tmp_path / "crops", 3), tmp_path / "s.csv"
    broken = folder / "part0" / "00000.jpg"
    whole = broken.read_bytes()
    broken.write_bytes(b"no image")
    interrupt(fer, folder, output, after=2)
    broken.write_bytes(whole)
    assert score_folder(fer, folder, output, crops=True).failed == 0


def test_journal_keeps_the_last_line_of_an_image(tmp_path):
    for rows in ([[0.1]], [[0.2]], [[0.3]]):
        journal = Journal(tmp_path / "j", {})
        journal.append("a", rows, str(rows))
        journal.append("b", [[1.0]])
        journal.close()
    journal = Journal(tmp_path / "j", {})
    assert journal.done == {"a": "[[0.3]]", "b": None}
    assert list(journal.entries()) == [("a", [[0.3]]), ("b", [[1.0]])]
    journal.close()


def test_storages_tell_a_files_state(tmp_path, fer):
    """A storage with times in its listing; size and time are asked once, with the listing."""
    import fsspec

    storage = fsspec.filesystem("memory")
    folder = image_folder(tmp_path / "crops", 4)
    for path in sorted(folder.glob("*/*.jpg")):
        storage.pipe(f"/resume/{path.name}", path.read_bytes())
    output = tmp_path / "s.parquet"
    try:
        interrupt(fer, "memory://resume", output, after=3)
        storage.pipe("/resume/00000.jpg", (folder / "part1" / "00001.jpg").read_bytes())
        summary = score_folder(fer, "memory://resume", output, crops=True)
    finally:
        storage.rm("/resume", recursive=True)
    assert (summary.images, summary.resumed, summary.changed) == (4, 2, 1)
    table = pd.read_parquet(output).set_index("filepath")
    pd.testing.assert_series_equal(table.loc["00000.jpg"], table.loc["00001.jpg"], check_names=False)


def test_system_errors_are_one_line(tmp_path, monkeypatch, capsys):
    def refuse(args):
        raise OSError(errno.ENOSPC, "No space left on device", "a\r.csv")

    monkeypatch.setattr("gimefive_hf.commands.score.run", refuse)
    assert main(["score", str(tmp_path), "-o", str(tmp_path / "s.csv")]) == 2
    assert capsys.readouterr().err == "gimefive score: a\\r.csv: No space left on device\n"
