"""Every layout through `load_corpus`: labels, splits, votes, subjects, cache, stream, aggregate, tensors."""

import time

import datasets
import numpy as np
import pytest
import torch

from tests.cases import corpus_layouts as layouts
from training.corpora import (
    CORPORA,
    LABELS,
    SPLITS,
    VOTES,
    Corpus,
    Entry,
    add_corpus,
    balanced_indices,
    keep_classes,
    label_array,
    load_aggregate,
    load_corpus,
    prepare_corpus,
    to_tensors,
)
from training.corpora.readers.disfa import name_emotion
from training.corpora.schema import decode, pixel_hash


@pytest.fixture
def load(tmp_path):
    """load(name, files) writes the files as a folder or a zip, and loads them."""

    def load_files(name, files, as_zip=False, **options):
        root = tmp_path / "corpora"
        (layouts.zipped(root / f"{name}.zip", files) if as_zip else layouts.write(root / name, files))
        return load_corpus(name, root, cache_dir=tmp_path / "cache", strict=options.pop("strict", True), **options)

    return load_files


def rows_of(splits):
    return {row["source"]: row for dataset in splits.values() for row in dataset}


def labels_of(splits):
    return {source: row["label"] is not None and LABELS[row["label"]] for source, row in rows_of(splits).items()}


@pytest.mark.parametrize("as_zip", [False, True])
def test_raf_folders(load, as_zip):
    splits = load("raf-db", layouts.raf_kaggle(), as_zip)
    labels = labels_of(splits)
    assert len(labels) == 28
    assert labels["DATASET/train/1/train_91000_aligned.jpg"] == "surprise"
    assert labels["DATASET/test/7/test_97001_aligned.jpg"] == "neutral"
    assert set(splits["test"]["source"]) == {source for source in labels if "/test/" in source}
    row = splits["test"][0]
    data = layouts.raf_kaggle()[row["source"]]
    assert row["sha256"] == pixel_hash(decode(data))
    assert np.array_equal(np.asarray(row["image"]), np.asarray(decode(data)))
    assert (row["corpus"], row["split"], row["votes"], row["subject"]) == ("raf-db", "test", None, None)


def test_raf_authors_list_gives_the_same_images(load, tmp_path):
    """Both layouts hold the same files here, so labels, splits and pixels must agree image by image."""

    def by_name(splits):
        return {s.rsplit("/", 1)[1]: (r["label"], r["split"], r["sha256"]) for s, r in rows_of(splits).items()}

    kaggle = load_corpus("raf-db", layouts.write(tmp_path / "kaggle", layouts.raf_kaggle()), tmp_path / "cache")
    assert by_name(load("raf-db", layouts.raf_authors())) == by_name(kaggle)


def test_fer_folders_with_votes(load):
    splits = load("fer2013", layouts.fer_folders(), as_zip=True)
    rows = rows_of(splits)
    assert len(rows) == 28
    assert {LABELS[row["label"]] for row in rows.values()} == set(LABELS[:7])
    votes = [row["votes"] for row in rows.values()]
    assert votes.count(None) == 14
    assert votes.count(list(range(10))) == 14


def test_fer_table_with_microsofts_votes(tmp_path):
    root = layouts.write(tmp_path / "fer", layouts.fer_table())
    splits = load_corpus("fer2013", root, tmp_path / "cache")
    rows = rows_of(splits)
    assert len(rows) == 14
    first = rows["fer2013.csv#1"]
    pixels = np.random.default_rng(0).integers(0, 256, 48 * 48).reshape(48, 48)
    assert np.array_equal(np.asarray(first["image"]), pixels)
    assert (LABELS[first["label"]], first["votes"]) == ("anger", list(range(10)))
    assert rows["fer2013.csv#3"]["votes"] == list(range(2, 12))
    assert {n for n in range(1, 15) if (n - 1) % 3} == {int(s.split("#")[1]) for s in splits["test"]["source"]}


def test_affectnet_splits_by_rule(load):
    splits = load("affectnet", layouts.affectnet())
    assert len(rows_of(splits)) == 28
    assert labels_of(splits)["happy/ffhq_n0.jpg"] == "happiness"
    assert "train" in splits


def test_ck48(load):
    rows = rows_of(load("ck48", layouts.ck48()))
    assert len(rows) == 21
    assert LABELS[rows["CK+48/contempt/S901_001_00000000.png"]["label"]] == "contempt"
    subjects: dict = {}
    for row in rows.values():
        subjects.setdefault(row["subject"], set()).add(row["split"])
    assert len(subjects) == 7
    assert all(len(found) == 1 for found in subjects.values())


def test_ck_tree(tmp_path):
    root = layouts.write(tmp_path / "ck", layouts.ck_tree())
    rows = rows_of(load_corpus("ck48", root, tmp_path / "cache"))
    assert len(rows) == 6
    assert {s.rsplit("/", 1)[1] for s in rows} == {f"S901_001_{n:08}.png" for n in (3, 4, 5)} | {
        f"S902_004_{n:08}.png" for n in (3, 4, 5)
    }
    assert {LABELS[row["label"]] for row in rows.values() if row["subject"] == "S901"} == {"disgust"}
    assert {LABELS[row["label"]] for row in rows.values() if row["subject"] == "S902"} == {"surprise"}


def test_tfeid(load):
    rows = rows_of(load("tfeid", layouts.tfeid(), as_zip=True))
    assert len(rows) == 24
    assert {row["subject"] for row in rows.values()} == {"f90", "f91", "f92", "f93"}


def test_muxspace(load, caplog):
    rows = rows_of(load("muxspace", layouts.muxspace(), as_zip=True, strict=False))
    found = {source: (LABELS[row["label"]], row["subject"]) for source, row in rows.items()}
    assert found == {
        "images/Zed_Xu_0001.jpg": ("neutral", "Zed_Xu"),
        "images/Zed_Xu_0002.jpg": ("happiness", "Zed_Xu"),
        "images/Yan_7.jpg": ("happiness", "Yan"),
    }
    assert len({row["split"] for row in rows.values() if row["subject"] == "Zed_Xu"}) == 1
    for reason in ("Stray_0001.jpg: legend.csv has no row", "#Gone_0001.jpg: the table's row", "1 fear"):
        assert reason in caplog.text


def test_paper_folders(load):
    valid = load("gimefive-valid", layouts.paper())
    assert list(valid) == ["test"]
    assert len(valid["test"]) == 18
    assert labels_of(valid)["valid/img40_disgust.jpg"] == "disgust"
    both = load("gimefive", layouts.paper())
    assert {s.split("/")[0] for s in rows_of(both)} == {"train", "test"}
    assert len(both["test"]) == 18


def test_disfa(load):
    rows = rows_of(load("disfa", layouts.disfa(), strict=False))
    assert len(rows) == 2 * 5  # frames 1, 11, 21, 31, 41 of two cameras
    for source, row in rows.items():
        frame = int(source.split("#")[1])
        assert row["label"] == LABELS.index("happiness" if frame > 20 else "neutral")
        assert row["action_units"] == ([0, 0, 0, 0, 3, 0, 3, 0, 0, 0, 0, 0] if frame > 20 else [0] * 12)
        assert abs(np.asarray(row["image"]).mean() - 4 * frame) < 3  # the frame asked for, not its neighbour
        assert row["subject"] == "SN901"
    assert len({row["split"] for row in rows.values()}) == 1


@pytest.mark.parametrize(
    ("units", "emotion"),
    [
        ({6: 2, 12: 4}, "happiness"),
        ({6: 1, 12: 4}, None),  # a trace is not a smile that reaches the eyes
        ({1: 3, 2: 3, 5: 2, 26: 2}, "surprise"),
        ({1: 3, 2: 3, 4: 2, 5: 2, 20: 2, 26: 2}, "fear"),
        ({1: 2, 4: 2, 15: 2}, "sadness"),
        ({4: 4, 5: 3}, "anger"),
        ({9: 3, 15: 2}, "disgust"),
        ({6: 3, 12: 3, 9: 3, 15: 3}, None),  # a blend
        ({12: 0}, "neutral"),
        ({12: 1}, None),
    ],
)
def test_emfacs_rule(units, emotion):
    assert name_emotion({1: 0, 2: 0, 25: 0} | units) == emotion


def test_second_load_is_fast_and_same(load):
    files = layouts.affectnet()
    first = load("affectnet", files, as_zip=True)
    start = time.process_time()
    second = load("affectnet", files, as_zip=True)
    assert time.process_time() - start < 2  # of the processor, so that a busy machine does not fail
    assert rows_of(first).keys() == rows_of(second).keys()
    assert second["train"].cache_files  # memory-mapped, not in memory


def test_cache_follows_content(load):
    """The trap of the library's own cache: an edited table must not give stale rows."""
    files = layouts.fer_folders()
    load("fer2013", files, as_zip=True)
    files["ferplus_votes.csv"] = files["ferplus_votes.csv"].replace(",8,9", ",8,1")
    votes = [row["votes"] for row in rows_of(load("fer2013", files, as_zip=True)).values() if row["votes"]]
    assert {row[-1] for row in votes} == {1}


def test_interrupted_build_goes_on(tmp_path, monkeypatch):
    """Killed in the third part, the build keeps the first two and makes the rest; the result is that of one go."""
    from training.corpora import cache

    monkeypatch.setattr(cache, "PART", 8)
    zipped = layouts.zipped(tmp_path / "affectnet.zip", layouts.affectnet())
    whole = rows_of(load_corpus("affectnet", zipped, tmp_path / "whole"))
    decoded = []
    make_row = cache.make_row

    def interrupted(corpus, entry, splits):
        decoded.append(entry.source)
        if len(decoded) == 20:
            raise KeyboardInterrupt
        return make_row(corpus, entry, splits)

    monkeypatch.setattr(cache, "make_row", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_corpus("affectnet", zipped, tmp_path / "cache")
    kept = decoded[:16]
    del decoded[:]
    monkeypatch.setattr(cache, "make_row", lambda c, e, s: decoded.append(e.source) or make_row(c, e, s))
    again = rows_of(load_corpus("affectnet", zipped, tmp_path / "cache"))
    assert not set(kept) & set(decoded)
    assert {s: r["sha256"] for s, r in again.items()} == {s: r["sha256"] for s, r in whole.items()}


@pytest.mark.parametrize("name", ["raf-db", "fer2013", "ck48", "gimefive-valid"])
def test_stream_equals_cache(load, name):
    files = {
        "raf-db": layouts.raf_kaggle,
        "fer2013": layouts.fer_folders,
        "ck48": layouts.ck48,
        "gimefive-valid": layouts.paper,
    }[name]()
    cached = load(name, files)
    streamed = load(name, files, streaming=True)
    assert isinstance(streamed, datasets.IterableDatasetDict)
    for split in streamed:
        rows = list(streamed[split])
        assert [row["source"] for row in rows] == (cached[split]["source"][:] if split in cached else [])
        for row, other in zip(rows, cached.get(split, ()), strict=True):
            assert np.array_equal(np.asarray(row.pop("image")), np.asarray(other.pop("image")))
            assert row == other


def test_stream_reads_only_its_split(load, monkeypatch):
    from training.corpora.files import CorpusFiles

    read = []
    monkeypatch.setattr(CorpusFiles, "read", lambda self, name: read.append(name) or (self.path / name).read_bytes())
    assert list(load("raf-db", layouts.raf_kaggle(), streaming=True)["test"])
    assert read
    assert not [name for name in read if "/train/" in name]


@pytest.fixture
def aggregate_root(tmp_path):
    root = tmp_path / "corpora"
    layouts.write(root / "raf-db", layouts.raf_kaggle(6))
    layouts.write(root / "fer2013", layouts.fer_folders(12))
    layouts.write(root / "tfeid", layouts.tfeid())
    return root


def test_aggregate_classes_and_order(aggregate_root, tmp_path):
    options = {"corpora": ("raf-db", "fer2013", "tfeid"), "test": ("raf-db", "fer2013"), "cache_dir": tmp_path / "c"}
    six = load_aggregate(aggregate_root, **options)
    assert six["train"].features["label"].names == list(LABELS[:6])
    assert set(label_array(six["train"])) == set(range(6))
    assert len(six["test"]) == 6 * (6 + 12)
    seven = load_aggregate(aggregate_root, classes=7, **options)
    assert seven["train"].features["label"].names[6] == "neutral"
    assert len(seven["test"]) == 7 * (6 + 12)
    corpora = seven["train"]["corpus"][:]
    assert corpora == sorted(corpora, key=("raf-db", "fer2013", "tfeid").index)
    mixed = load_aggregate(aggregate_root, classes=7, interleave=True, **options)["train"]["corpus"][:]
    assert mixed != corpora
    assert sorted(mixed) == sorted(corpora)


def test_aggregate_balance(aggregate_root, tmp_path):
    options = {"corpora": ("raf-db", "fer2013"), "test": ("raf-db",), "cache_dir": tmp_path / "c", "seed": 3}
    plain = load_aggregate(aggregate_root, **options)["train"]
    balanced = load_aggregate(aggregate_root, balance="corpus", **options)["train"]
    again = load_aggregate(aggregate_root, balance="corpus", **options)["train"]
    assert len(balanced) == len(plain)
    assert balanced["source"][:] == again["source"][:]
    counts = {name: balanced["corpus"][:].count(name) for name in ("raf-db", "fer2013")}
    assert plain["corpus"][:].count("raf-db") < 0.4 * len(plain)
    assert 0.35 < counts["raf-db"] / len(plain) < 0.65


def test_balanced_indices_even_out_classes():
    data = {"label": [0] * 90 + [1] * 10, "corpus": ["a"] * 95 + ["b"] * 5}
    dataset = datasets.Dataset.from_dict(data)
    drawn = np.concatenate([balanced_indices(dataset, "class", seed) for seed in range(30)])
    assert np.mean(drawn < 90) == pytest.approx(0.5, abs=0.04)  # 3,000 draws: 4 standard errors
    drawn = np.concatenate([balanced_indices(dataset, "corpus", seed) for seed in range(30)])
    assert np.mean(drawn < 95) == pytest.approx(0.5, abs=0.04)


def test_streamed_aggregate(aggregate_root, tmp_path):
    options = {"corpora": ("raf-db", "tfeid"), "test": ("raf-db",), "streaming": True}
    joined = [row["corpus"] for row in load_aggregate(aggregate_root, **options)["train"]]
    assert joined == sorted(joined)
    mixed = load_aggregate(aggregate_root, balance="corpus", interleave=True, **options)["train"]
    corpora = [row["corpus"] for row in mixed]
    assert corpora.count("raf-db") == pytest.approx(corpora.count("tfeid"), abs=1)
    assert mixed.features["label"].names == list(LABELS[:6])
    with pytest.raises(ValueError, match="load them without streaming"):
        load_aggregate(aggregate_root, balance="class", **options)


def test_options_that_are_none(aggregate_root, tmp_path):
    with pytest.raises(ValueError, match="balance must be one of"):
        load_aggregate(aggregate_root, balance="classes")
    with pytest.raises(ValueError, match="classes must be 6, 7"):
        load_aggregate(aggregate_root, corpora=("tfeid",), test=(), classes=5, cache_dir=tmp_path)
    with pytest.raises(ValueError, match="no corpus 'rafdb'; there are raf-db"):
        load_corpus("rafdb", aggregate_root)
    with pytest.raises(ValueError, match="no folder and no zip"):
        load_corpus("raf-db", aggregate_root / "nowhere")


def test_unlabelled_frames_are_no_class(load):
    files = layouts.disfa()
    for unit in (6, 12):
        files[f"ActionUnit_Labels/SN901/SN901_au{unit}.txt"] = "\n".join(f"{n},1" for n in range(1, 42))
    (dataset,) = load("disfa", files, strict=False).values()
    assert set(dataset["label"][:]) == {None}
    assert set(label_array(dataset)) == {-1}
    assert len(keep_classes(dataset, 8)) == 0


def test_to_tensors(load):
    splits = load("fer2013", layouts.fer_folders())
    crops = to_tensors(splits["test"])
    assert crops.images.shape == (14, 3, 48, 48)
    assert crops.images.dtype == torch.uint8
    for index in (0, 13):
        expected = np.asarray(splits["test"][index]["image"].convert("RGB"))
        assert np.array_equal(crops.images[index].permute(1, 2, 0).numpy(), expected)
    assert crops.labels.tolist() == splits["test"]["label"][:]
    assert crops.votes.isnan().all(1).sum() == 7
    assert crops.votes[~crops.votes.isnan().all(1)].tolist() == [list(map(float, range(10)))] * 7
    assert crops.sources == splits["test"]["source"][:]
    assert to_tensors(splits["test"], side=16, channels=1).images.shape == (14, 1, 16, 16)
    empty = to_tensors(splits["test"].select([]), side=16)
    assert (len(empty), empty.votes.shape) == (0, (0, len(VOTES)))


def test_to_tensors_asks_for_a_side(tmp_path):
    layouts.write(tmp_path / "tfeid", layouts.tfeid() | {"fear/f95_a.jpg": layouts.picture("x", 64)})
    splits = load_corpus("tfeid", tmp_path, tmp_path / "c")
    joined = datasets.concatenate_datasets(list(splits.values()))
    with pytest.raises(ValueError, match="give a side"):
        to_tensors(joined)
    assert to_tensors(joined, side=32).images.shape == (25, 3, 32, 32)


def test_rule_splits_shares():
    """The rule for unlisted images meets its shares over many, keeps equal pixels together, obeys official splits."""
    from training.corpora.splits import SplitList

    rule = SplitList("unknown-corpus")
    drawn = [rule.by_rule(f"image {i}", None) for i in range(20_000)]
    assert drawn == [rule.by_rule(f"image {i}", None) for i in range(20_000)]
    assert drawn.count("test") / 20_000 == pytest.approx(0.20, abs=0.012)
    assert drawn.count("validation") / 20_000 == pytest.approx(0.06, abs=0.007)
    official = [rule.by_rule(f"image {i}", "train") for i in range(5_000)]
    assert set(official) == {"train", "validation"}
    assert rule.by_rule("image 1", "test") == "test"


def test_lists_hold_no_leaks_by_subject():
    """The committed lists: nobody of CK+ or TFEID stands in two splits, not even across the two copies of CK+."""
    from training.corpora.splits import SPLITS_DIR, read_list, subject_of

    found: dict = {}
    known = {c.name: (c.subjects, c.subject_pattern) for c in CORPORA.values() if c.subject_pattern}
    assert set(known) == {"ck48", "ck-paper", "tfeid", "muxspace"}
    for name, (group, pattern) in known.items():
        for source, split in read_list(SPLITS_DIR / f"{name}.csv").items():
            found.setdefault((group, subject_of(source, pattern)), set()).add(split)
    assert len(found) > 100
    assert all(len(splits) == 1 for splits in found.values())


def test_every_corpus_can_be_asked_for():
    for corpus in CORPORA.values():
        assert corpus.title
        assert corpus.ask.startswith("http")
        assert set(corpus.splits) <= set(SPLITS)


def test_name_taken():
    with pytest.raises(ValueError, match="already a corpus 'raf-db'"):
        add_corpus(Corpus("raf-db", read=lambda files: iter(())))


def test_label_outside_ours_is_our_mistake(tmp_path, monkeypatch):
    monkeypatch.setitem(
        CORPORA, "odd", Corpus("odd", lambda files: (Entry(n, "joy", lambda: b"") for n in files.names))
    )
    layouts.write(tmp_path / "odd", {"a.jpg": layouts.picture("a")})
    with pytest.raises(AssertionError):
        load_corpus("odd", tmp_path, tmp_path / "cache")


EXPECTED = {  # the corpora's README: train and validation together, test
    "raf-db": (9747, 2388),
    "fer2013": (28605, 7158),
    "affectnet": 20445,
    "ck48": 867,
    "ck-paper": 274,
    "tfeid": 195,
    "muxspace": 12041,
    "gimefive-valid": (0, 600),
}


@pytest.mark.corpora
@pytest.mark.parametrize("name", EXPECTED)
def test_counts_of_the_real_corpora(name, corpora_dir, tmp_path_factory):
    prepared = prepare_corpus(name, corpora_dir, strict=name != "muxspace")  # part of whose classes are not read
    counts, expected = prepared.counts, EXPECTED[name]
    if isinstance(expected, int):
        assert sum(counts.values()) == expected
        assert min(counts.values()) > 0
    else:
        assert (counts.get("train", 0) + counts.get("validation", 0), counts["test"]) == expected
    start = time.process_time()
    splits = load_corpus(name, corpora_dir)
    assert time.process_time() - start < 2
    assert {split: len(dataset) for split, dataset in splits.items()} == counts


@pytest.mark.corpora
def test_counts_of_the_real_aggregate(corpora_dir):
    """54,403 six-class images in all training material; held back are our validation and test parts."""
    aggregate = load_aggregate(corpora_dir)
    assert len(aggregate["test"]) == 2388 + 5945
    parts = [load_corpus(name, corpora_dir) for name in ("raf-db", "fer2013", "affectnet", "ck-paper", "tfeid")]
    kept_back = sum(len(keep_classes(p["test"])) for p in parts[2:])
    total = 9747 + 23742 + 20445 + 274 + 195
    assert len(aggregate["train"]) + len(aggregate["validation"]) + kept_back == total
    votes = parts[1]["train"]["votes"][:] + parts[1]["validation"]["votes"][:] + parts[1]["test"]["votes"][:]
    assert sum(row is not None for row in votes) == 35626
    contempt = load_corpus("ck48", corpora_dir)
    assert sum((label_array(d) == LABELS.index("contempt")).sum() for d in contempt.values()) == 45
