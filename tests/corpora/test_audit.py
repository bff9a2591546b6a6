"""Duplicates, leaks, agreement and report: on pictures whose twins are known, and on the real corpora."""

import csv
import io
import json
import math

import datasets
import numpy as np
import pytest
from PIL import Image, ImageFilter

from evaluation.store import DEFAULT_STORE
from tests.cases import corpus_layouts as layouts
from training.audit import checks as audit
from training.audit import report as audit_report
from training.audit.duplicates import (
    Fingerprints,
    aligned_correlation,
    conflicts,
    fingerprint,
    hash_twins,
    mirrored,
    phash,
    thumbnail,
    twins,
)
from training.audit.judged import precision_by_kind
from training.audit.leaks import find_leaks
from training.corpora import LABELS, load_corpus


def scene(seed: int, side: int = 96) -> Image.Image:
    """A smooth random picture: blobs, as unlike another seed's as two photographs are."""
    noise = np.random.default_rng(seed).integers(0, 256, (12, 12), dtype=np.uint8)
    return Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(1))


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def prints(tmp_path):
    """Train: scenes 0–9. Test: 0 exact, 1 darker and recompressed, 2 mirrored, 3 cropped, unknown, blank."""
    files = {f"train/happy/Training_{i}.png": png(scene(i)) for i in range(10)}
    tests = {
        "exact": scene(0),
        "near": scene(1).point(lambda value: 0.6 * value + 20),
        "mirrored": scene(2).transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "shifted": scene(3).crop((3, 2, 93, 92)).resize((96, 96), Image.Resampling.BICUBIC),
        "unknown": scene(40),
        "blank": Image.new("L", (96, 96), 90),
    }
    for name, image in tests.items():
        folder = "sad" if name == "exact" else "happy"
        lossless = name in ("exact", "blank")
        files[f"test/{folder}/{name}.{'png' if lossless else 'jpg'}"] = png(image) if lossless else jpeg(image, 60)
    splits = load_corpus("fer2013", layouts.zipped(tmp_path / "fer2013.zip", files), tmp_path / "cache")
    return {split: fingerprint(dataset, "fer2013", split) for split, dataset in splits.items()}


def held_out(prints: dict[str, Fingerprints]) -> list[Fingerprints]:
    return [part for split, part in prints.items() if split != "test"]


def test_leaks_of_every_kind(prints):
    leaks = {leak.source.split("/")[-1].split(".")[0]: leak for leak in find_leaks(prints["test"], held_out(prints))}
    assert {name: leak.kind for name, leak in leaks.items()} == {
        name: name for name in ("exact", "near", "mirrored", "shifted")
    }
    twin = {name: int(leak.twin.split("_")[1].split(".")[0]) for name, leak in leaks.items()}
    assert twin == {"exact": 0, "near": 1, "mirrored": 2, "shifted": 3}
    assert leaks["exact"].correlation == 1
    assert not leaks["exact"].same_label
    assert leaks["near"].same_label
    assert leaks["near"].hash_distance <= 4


def test_a_split_is_no_twin_of_itself(prints):
    assert list(twins(prints["test"], prints["test"])) == []
    doubled = list(twins(prints["train"], prints["train"], threshold=-1))
    assert all(twin.first != twin.second for twin in doubled)


def test_thumbnail_is_a_correlation():
    """Against numpy's own correlation of block means; one grey has none; brightness and contrast do not count."""
    first, second = scene(5), scene(6)
    means = [np.asarray(s, np.float64).reshape(16, 6, 16, 6).mean((1, 3)).ravel() for s in (first, second)]
    expected = np.corrcoef(*means)[0, 1]
    assert float(thumbnail(first) @ thumbnail(second)) == pytest.approx(expected, abs=1e-4)
    assert not thumbnail(Image.new("L", (48, 48), 7)).any()
    assert float(thumbnail(first) @ thumbnail(first.point(lambda v: v // 2 + 30))) > 0.999


def test_aligned_correlation_finds_another_crop():
    plain = np.asarray(scene(7).resize((48, 48)))
    cropped = np.asarray(scene(7).crop((7, 5, 91, 89)).resize((48, 48)))
    other = np.asarray(scene(8).resize((48, 48)))
    assert aligned_correlation(plain, plain) == pytest.approx(1, abs=1e-4)
    assert aligned_correlation(plain, cropped) > 0.95 > aligned_correlation(plain, other)


def test_hashes_are_imagehashs_own(prints):
    import imagehash

    first, second = scene(5), scene(6)
    assert int(np.bitwise_count(phash(first) ^ phash(second))) == imagehash.phash(first) - imagehash.phash(second)
    assert hash_twins(prints["test"], prints["test"], 0) == len(prints["test"])
    assert mirrored(prints["test"]).sha256 == [""] * len(prints["test"])


def test_conflicts(prints):
    (group,) = conflicts(list(prints.values()), len(LABELS))
    assert {LABELS[label] for _, _, label in group} == {"happiness", "sadness"}
    assert conflicts([prints["test"]], len(LABELS)) == []


def test_ferplus_disagreement_by_hand(tmp_path):
    """Four images of anger: votes agree, say fear, are tied, are missing."""
    files = {f"train/angry/Training_{i}.jpg": layouts.picture(str(i)) for i in range(4)}
    rows = ["file,anger,fear,happiness,surprise,sadness,disgust,neutral,contempt,unknown,NF"]
    rows += ["train/angry/Training_0.jpg,8,2" + ",0" * 8, "train/angry/Training_1.jpg,3,7" + ",0" * 8]
    rows += ["train/angry/Training_2.jpg,5,5" + ",0" * 8]
    splits = load_corpus(
        "fer2013", layouts.write(tmp_path / "f", files | {"ferplus_votes.csv": "\n".join(rows)}), tmp_path / "c"
    )
    found = audit.ferplus_disagreement(datasets.concatenate_datasets(list(splits.values())))
    assert (found["images"], found["with_votes"], found["tied"], found["other"]) == (4, 3, 1, 1)
    assert found["most_frequent"] == [{"label": "anger", "votes": "fear", "images": 1}]


def test_imbalance_by_hand():
    counts = {"a": {"train": dict.fromkeys(LABELS[:6], 10) | {"fear": 2}}, "b": {"train": {"anger": 48}}}
    found = audit.imbalance(counts)
    assert found["largest_over_smallest_class"] == {"a": 5.0, "b": None}
    assert found["share_of_training"] == {"a": 0.52, "b": 0.48}


def test_judged_pairs(tmp_path):
    path = tmp_path / "judged.csv"
    path.write_text("kind,same_photo\nnear,yes\nnear,yes\nnear,no\nshifted,yes\n")
    near, shifted = precision_by_kind(path)
    assert (near["looked_at"], near["same_photo"]) == (3, 2)
    assert near["low"] < 2 / 3 < near["high"]
    assert shifted["high"] == pytest.approx(1)
    path.write_text("kind,same_photo\nnear,maybe\n")
    with pytest.raises(ValueError, match="line 2: same_photo must be yes or no"):
        precision_by_kind(path)


def test_audit_of_tiny_corpora(tmp_path):
    """The whole command on three layouts; the report renders and holds the audit's numbers."""
    data, out = tmp_path / "data", tmp_path / "out"
    raf = layouts.raf_kaggle(2)
    raf["DATASET/test/4/test_94000_aligned.jpg"] = raf["DATASET/train/4/train_94000_aligned.jpg"]
    layouts.zipped(data / "raf-db.zip", raf)
    layouts.write(data / "tfeid", layouts.tfeid() | {"fear/bad.jpg": b"bad"})
    out.mkdir()
    found = audit.run_audit(data, tmp_path / "cache", out, faces=2)
    (out / "audit.json").write_text(json.dumps(found))
    with open(out / "leaked_test_images.csv", newline="") as file:
        (leak,) = [row for row in csv.DictReader(file) if row["corpus"] == "raf-db"]
    assert (leak["kind"], leak["twin"]) == ("exact", "DATASET/train/4/train_94000_aligned.jpg")
    assert found["leaks"]["raf-db"]["leaked"] == 1
    assert len(found["problems"]["tfeid"]) == 2  # unreadable, and no subject in its name
    assert found["faces"]["raf-db"] == found["faces"]["raf-db"] | {"looked_at": 2, "without_face": 2}  # noise
    page = audit_report.write_report(out).read_text()
    assert "| raf-db | 14 | 7.1 % (1 of 14) | 1 exact | 1 raf-db |" in page
    for figure in ("audit_classes.png", "audit_duplicates.png"):
        assert figure in page
        assert Image.open(out / figure).width > 300


def test_committed_report_is_fresh():
    """AUDIT.md is what audit.json says."""
    stored = json.loads((DEFAULT_STORE / "audit.json").read_text())
    assert audit_report.page(stored) == (DEFAULT_STORE / audit_report.REPORT).read_text()
    with open(DEFAULT_STORE / "leaked_test_images.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    leaked = {corpus: leak["leaked"] for corpus, leak in stored["leaks"].items() if leak["leaked"]}
    assert leaked == {corpus: sum(row["corpus"] == corpus for row in rows) for corpus in {r["corpus"] for r in rows}}
    assert stored["precision"] == precision_by_kind()


def test_committed_counts_reach_the_readmes():
    """The corpora's README counts 521 and 574 exactly; the two found on material that is not all here, within 2 %."""
    stored = json.loads((DEFAULT_STORE / "audit.json").read_text())["readme_counts"]
    for row in stored:
        close = "near or equal" in row["what"] or "more than one label" in row["what"]
        assert math.isclose(row["here"], row["readme"], rel_tol=0.02 if close else 0), row


@pytest.mark.corpora
def test_exact_counts_of_the_real_corpora(corpora_dir):
    """521 of FER2013's 5,945 six-class test images stand in its training split with the same pixels."""
    fer = load_corpus("fer2013", corpora_dir)
    train = set(fer["train"]["sha256"][:]) | set(fer["validation"]["sha256"][:])
    rows = zip(fer["test"]["sha256"][:], fer["test"]["label"][:], strict=True)
    six = [digest in train for digest, label in rows if label < 6]
    assert (sum(six), len(six)) == (521, 5945)
    assert not set(fer["validation"]["sha256"][:]) & (set(fer["train"]["sha256"][:]) | set(fer["test"]["sha256"][:]))


@pytest.mark.corpora
def test_near_counts_of_the_real_corpora(corpora_dir):
    """574 of the paper's 600 validation images are RAF-DB test images saved again, with the same label."""
    valid = fingerprint(load_corpus("gimefive-valid", corpora_dir)["test"], "gimefive-valid", "test")
    raf = fingerprint(load_corpus("raf-db", corpora_dir)["test"], "raf-db", "test")
    found = [twin for twin in twins(valid, raf) if twin.correlation > 0.995]
    assert len(found) == 574
    assert all(valid.labels[twin.first] == raf.labels[twin.second] for twin in found)
