"""Everything that can be wrong with a corpus is named in one report with its reason, and an error with `strict`."""

import csv
import io
import zipfile

import numpy as np
import pytest

from tests.cases import corpus_layouts as layouts
from training.corpora import CorpusError, load_corpus, prepare_corpus
from training.corpora.files import climbs_out
from training.prepare import main as prepare_main

RAF = "DATASET/train/1/train_91000_aligned.jpg"


def problems_of(tmp_path, name, files, as_zip=False):
    """source → reason, after checking that strict refuses what the plain load reports."""
    root = tmp_path / "corpora"
    (layouts.zipped(root / f"{name}.zip", files) if as_zip else layouts.write(root / name, files))
    prepared = prepare_corpus(name, root, tmp_path / "cache")
    with open(prepared.folder / "problems.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["source"], row["reason"]) for row in rows] == [(p.source, p.reason) for p in prepared.problems]
    if prepared.problems:
        with pytest.raises(CorpusError) as error:
            load_corpus(name, root, tmp_path / "cache", strict=True)
        assert all(p.reason in str(error.value) for p in prepared.problems[:10])
    return {p.source: p.reason for p in prepared.problems}, prepared


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (layouts.picture("x", 64, colour=True)[:900], "truncated"),
        (b"", "not an image: 0 bytes"),
        (b"<html>not found</html>", "not an image: 22 bytes that begin with b'<html>no'"),
        (b"\xff\xd8\xff\xe0 rubbish", "cannot be read"),
    ],
)
def test_unreadable_image(tmp_path, data, reason):
    problems, prepared = problems_of(tmp_path, "raf-db", layouts.raf_kaggle() | {RAF: data})
    assert problems.keys() == {RAF}
    assert reason in problems[RAF]
    assert sum(prepared.counts.values()) == 27


RAF_TABLE = layouts.raf_kaggle()["train_labels.csv"]


@pytest.mark.parametrize(
    ("changes", "problems", "kept"),
    [
        ({}, {}, 28),
        ({RAF: layouts.picture("x", 64, kind="PNG")}, {RAF: "its name says JPEG, its bytes are PNG"}, 28),
        (
            {"train_labels.csv": RAF_TABLE.replace("train_91000_aligned.jpg,1", "train_91000_aligned.jpg,4")},
            {RAF: "folder 1, but label 4 in train_labels.csv"},
            27,
        ),
        (
            {RAF: None, "DATASET/train/1/extra.jpg": layouts.picture("extra")},
            {
                "train_labels.csv#train_91000_aligned.jpg": "the table's row has no image",
                "DATASET/train/1/extra.jpg": "no row in the tables of labels",
            },
            28,  # the image without a row is kept: its folder labels it
        ),
    ],
)
def test_raf_folders(tmp_path, changes, problems, kept):
    files = {name: data for name, data in (layouts.raf_kaggle() | changes).items() if data is not None}
    found, prepared = problems_of(tmp_path, "raf-db", files)
    assert found == problems
    assert sum(prepared.counts.values()) == kept


def test_unknown_folder_and_stray_files(tmp_path):
    files = layouts.affectnet() | {"joy/a.jpg": layouts.picture("a"), "joy/b.jpg": layouts.picture("b")}
    files |= {"readme.txt": "hello", "loose.jpg": layouts.picture("c")}
    problems, prepared = problems_of(tmp_path, "affectnet", files)
    assert problems.keys() == {"joy", "readme.txt", "."}
    assert problems["joy"].startswith("unknown class folder, 2 image(s) in it; expected one of afraid, ")
    assert problems["readme.txt"] == "neither an image nor a table of this corpus"
    assert sum(prepared.counts.values()) == 28


def test_zip_that_climbs_out(tmp_path):
    files = layouts.affectnet() | {"../fear/evil.jpg": layouts.picture("e"), "/fear/evil.jpg": layouts.picture("e")}
    problems, prepared = problems_of(tmp_path, "affectnet", files, as_zip=True)
    assert problems == dict.fromkeys(("../fear/evil.jpg", "/fear/evil.jpg"), "the path climbs out of the corpus")
    assert sum(prepared.counts.values()) == 28
    assert not (tmp_path / "fear").exists()


@pytest.mark.parametrize("path", ["../a", "a/../../b", "/a", "C:/a", "C:\\a", "..\\a", "a\\..\\..\\b"])
def test_paths_that_climb(path):
    assert climbs_out(path)
    assert not climbs_out("a/b..c/d.jpg")


def test_damaged_zip_member_and_double_name(tmp_path):
    path = layouts.zipped(tmp_path / "corpora" / "affectnet.zip", layouts.affectnet())
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.infolist()[0]
    data[info.header_offset + 30 + len(info.filename) + 600] ^= 0xFF  # one bit pattern inside the stored JPEG
    path.write_bytes(data)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("fear/image9900000fear.jpg", layouts.picture("again"))
    prepared = prepare_corpus("affectnet", path.parent, tmp_path / "cache")
    reasons = {p.source: p.reason for p in prepared.problems}
    assert reasons.keys() == {info.filename, "fear/image9900000fear.jpg"}
    assert "Bad CRC-32" in reasons[info.filename]
    assert reasons["fear/image9900000fear.jpg"].startswith("the zip holds this name twice")


def test_truncated_zip(tmp_path):
    path = layouts.zipped(tmp_path / "affectnet.zip", layouts.affectnet())
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(CorpusError, match=r"affectnet.zip: expected a zip"):
        load_corpus("affectnet", tmp_path, tmp_path / "cache")


def test_half_a_corpus(tmp_path):
    """Of the listed images of TFEID three are there: every other is named, by folder where many lack."""
    names = ("anger/f01_dfh_ax.jpg", "anger/f04_dfh_ax.jpg", "disgust/f01_dfh_dx.jpg")
    problems, prepared = problems_of(tmp_path, "tfeid", {name: layouts.picture(name) for name in names})
    assert problems["anger"] == "27 of the 195 images in the list of splits are not here"
    assert set(problems) == {"anger", "disgust", "fear", "happiness", "sadness", "surprise"}
    assert prepared.counts == {"train": 1, "validation": 2}


def test_nothing_of_the_corpus(tmp_path):
    layouts.write(tmp_path / "raf-db", {"notes.txt": "no images yet"})
    with pytest.raises(CorpusError, match="no image of this corpus"):
        load_corpus("raf-db", tmp_path, tmp_path / "cache")


def test_other_corpora_are_not_taken_for_this_one(tmp_path):
    layouts.write(tmp_path / "tfeid", layouts.tfeid())
    for streaming in (False, True):
        with pytest.raises(CorpusError, match=r"neither affectnet.zip nor affectnet/ in .*, which holds tfeid"):
            load_corpus("affectnet", tmp_path, tmp_path / "cache", streaming=streaming)


def test_fer_tables(tmp_path):
    files = layouts.fer_table(8)
    lines = files["fer2013.csv"].splitlines()
    lines[2] = lines[2].replace(lines[2].split(",")[1], "1 2 3")
    lines[3] = "9" + lines[3][1:]
    lines[4] = (
        lines[4].replace("Training", "Holiday").replace("PublicTest", "Holiday").replace("PrivateTest", "Holiday")
    )
    lines[5] = "4,1 2 x," + lines[5].split(",")[2]
    votes = files["fer2013new.csv"].splitlines()
    votes[6] = "Training,fer.png,1,2"  # of a row whose Usage is PrivateTest
    votes[7] = votes[7].replace(",15", ",many")
    files = {"fer2013.csv": "\n".join(lines), "fer2013new.csv": "\n".join(votes[:-1])}
    problems, prepared = problems_of(tmp_path, "fer2013", files)
    assert problems["fer2013.csv"] == "8 rows are here; FER2013 has 35,887"
    assert "got 3 numbers" in problems["fer2013.csv#2"]
    assert problems["fer2013.csv#3"].startswith("expected an emotion of 0 to 6")
    assert problems["fer2013.csv#4"].startswith("expected an emotion of 0 to 6 and a Usage")
    assert "not all whole numbers" in problems["fer2013.csv#5"]
    assert "not the same order" in problems["fer2013.csv#6"]
    assert "expected the ten counts" in problems["fer2013new.csv#7"]
    assert "ends before this row" in problems["fer2013.csv#8"]
    assert sum(prepared.counts.values()) == 4


def test_fer_votes_without_their_table(tmp_path):
    files = layouts.fer_folders()
    rows = files["ferplus_votes.csv"].splitlines()
    files["ferplus_votes.csv"] = "\n".join([*rows, "train/sad/Training_000.jpg" + ",1" * 10, "train/sad/T.jpg,1,,3"])
    files["fer2013new.csv"] = "Usage,Image name"
    problems, _ = problems_of(tmp_path, "fer2013", files)
    assert problems[f"ferplus_votes.csv#{len(rows) + 2}"].startswith("expected file and the ten counts")
    assert problems["ferplus_votes.csv#train/sad/Training_000.jpg"] == "the table's row has no image"
    assert "goes with the rows of fer2013.csv" in problems["fer2013new.csv"]


def test_raf_authors_list(tmp_path):
    files = layouts.raf_authors()
    files["basic/EmoLabel/list_patition_label.txt"] += "\ntrain_00000.jpg 9\ntrain_90000.jpg 4\n"
    files["basic/Image/aligned/train_99999_aligned.jpg"] = layouts.picture("more")
    problems, _ = problems_of(tmp_path, "raf-db", files)
    assert sorted(problems.values()) == [
        "expected a line like 'train_00001.jpg 5' with a code of 1 to 7",
        "no aligned image for train_90000.jpg",
        "no line in the list of labels",
    ]


def test_ck_tree(tmp_path):
    files = layouts.ck_tree()
    files["Emotion/S901/001/S901_001_00000005_emotion.txt"] = "9.0"
    files["Emotion/S903/001/S903_001_00000005_emotion.txt"] = "1.0"
    files["notes.doc"] = "?"
    problems, _ = problems_of(tmp_path, "ck48", files)
    assert problems == {
        "Emotion": "3 labelled sequences are here; CK+ has 327",
        "Emotion/S901/001/S901_001_00000005_emotion.txt": "expected a code of 0 to 7, got '9.0'",
        "Emotion/S903/001/S903_001_00000005_emotion.txt": "no frames for this emotion file",
        "notes.doc": "neither a frame nor an emotion file of CK+",
    }


def test_paper_tables(tmp_path):
    files = layouts.paper()
    lines = files["valid_labels.csv"].splitlines()
    lines[0] = lines[0][:-1] + "7"
    lines[4] = lines[4][:-1] + "3"
    files["valid_labels.csv"] = "\n".join([*lines[:-1], "absent.jpg,2"])
    problems, prepared = problems_of(tmp_path, "gimefive-valid", files)
    assert problems == {
        "valid_labels.csv#1": "expected a code of 0 to 5, got '7'",
        "valid/img00_happiness.jpg": "no row in valid_labels.csv",
        "valid/img11_surprise.jpg": "the name says surprise, the table anger",
        "valid_labels.csv#18": "the table's row has no image valid/absent.jpg",
        "valid/img52_fear.jpg": "no row in valid_labels.csv",
    }
    assert prepared.counts == {"test": 15}


def test_disfa(tmp_path):
    files = layouts.disfa(frames=41)
    files["ActionUnit_Labels/SN901/SN901_au1.txt"] = files["ActionUnit_Labels/SN901/SN901_au1.txt"].replace(
        "41,0", "41,8"
    )
    files["Video_RightCamera/RightVideoSN901_comp.avi"] = layouts.clip(15)  # ends before its action units
    files["Video_LeftCamera/LeftVideoSN902_comp.avi"] = layouts.clip(2)  # a subject without tables
    problems, prepared = problems_of(tmp_path, "disfa", files)
    assert problems["."] == "2 subjects are here; DISFA has 27"
    table = "ActionUnit_Labels/SN901/SN901_au1.txt"
    assert problems["SN902"].startswith("no table for AU 1, 2, 4, 5")
    assert problems[f"{table}#41"] == "frame 41 has no intensity for AU 1"
    assert "the video has 15 frames" in problems["Video_RightCamera/RightVideoSN901_comp.avi#21"]
    assert sum(prepared.counts.values()) == 4 + 2


def test_stream_names_problems_too(tmp_path, caplog):
    files = layouts.raf_kaggle() | {RAF: b"broken"}
    layouts.write(tmp_path / "raf-db", files)
    stream = load_corpus("raf-db", tmp_path, streaming=True)
    assert sum(1 for split in stream.values() for _ in split) == 27
    assert "not an image: 6 bytes" in caplog.text
    strict = load_corpus("raf-db", tmp_path, streaming=True, strict=True)
    with pytest.raises(CorpusError, match="not an image"):
        list(strict["train"])


def test_prepare_command(tmp_path, capsys):
    data, cache = tmp_path / "data", tmp_path / "cache"
    layouts.zipped(data / "raf-db.zip", layouts.raf_kaggle())
    layouts.write(data / "affectnet", layouts.affectnet() | {"fear/bad.jpg": b"bad"})
    assert prepare_main(["--data", str(data), "--cache", str(cache)]) == 0
    out = capsys.readouterr().out
    assert "ready     raf-db: " in out
    assert "14 test" in out
    assert "missing   tfeid: TFEID, posed. Terms: " in out
    assert "fear/bad.jpg: cannot be read: not an image" in out
    assert prepare_main(["--data", str(data), "--cache", str(cache), "--strict"]) == 1
    assert prepare_main(["--data", str(data), "--cache", str(cache), "--strict", "raf-db"]) == 0
    assert prepare_main(["--data", str(data), "--cache", str(cache), "tfeid"]) == 1
    assert prepare_main(["--data", str(data), "rafdb"]) == 2
    assert "no corpus rafdb; there are raf-db" in capsys.readouterr().err


def test_prepare_interrupted(tmp_path, capsys, monkeypatch):
    import training.corpora.cache as cache_module

    layouts.zipped(tmp_path / "raf-db.zip", layouts.raf_kaggle())

    def interrupt(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cache_module, "make_row", interrupt)
        assert prepare_main(["--data", str(tmp_path), "--cache", str(tmp_path / "c"), "raf-db"]) == 130
    assert "goes on from here" in capsys.readouterr().out
    assert prepare_main(["--data", str(tmp_path), "--cache", str(tmp_path / "c"), "raf-db"]) == 0


def test_exif_rotation_is_applied(tmp_path):
    """`sha256` and tensors are of the pixels that `datasets.Image` shows, which turns an image as its EXIF says."""
    from PIL import Image

    from training.corpora import to_tensors
    from training.corpora.schema import pixel_hash

    image = Image.open(io.BytesIO(layouts.picture("e", 48, kind="PNG")))
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    layouts.write(tmp_path / "tfeid", {"fear/f91_x.png": file.getvalue()})
    (dataset,) = load_corpus("tfeid", tmp_path, tmp_path / "cache").values()
    turned = image.transpose(Image.Transpose.ROTATE_270)
    assert dataset[0]["sha256"] == pixel_hash(turned) == pixel_hash(dataset[0]["image"])
    assert (to_tensors(dataset, channels=1).images[0, 0].numpy() == np.asarray(turned)).all()
