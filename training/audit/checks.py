"""
How far the corpora can be trusted: duplicates, leaks, conflicting labels, imbalance, shortcuts, bad files, lost faces.

    python -m training.audit --data DIR [--cache DIR] [--faces 400]

Writes `audit.json`, `leaked_test_images.csv` (test images with a twin in a training or validation split),
`valid_twins.csv` (where the paper's validation images come from) and, from `audit.json`, the report `AUDIT.md` with its
figures. No image of a corpus is written.
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import datasets
import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from gimefive_hf.emotions import EMOTIONS
from gimefive_hf.faces.detector import FaceDetector

from ..corpora import CORPORA, LABELS, VOTES, label_array, load_corpus, prepare_corpus, to_tensors
from ..corpora.files import locate_corpus
from ..corpora.readers.affectnet import from_ffhq
from ..corpora.schema import decode
from ..loop.augmentation import Augmentation, augment
from ..script import Script
from .duplicates import NEAR, Fingerprints, conflicts, fingerprint, hash_twins, twins
from .judged import precision_by_kind
from .leaks import Leak, find_leaks, write_leaks
from .report import write_report

HASH_DISTANCE = 4  # bits of 64 by which perceptual hashes of near duplicates may differ
SIX = len(EMOTIONS)

# Counts in the README of the corpora, on the material of the paper: what they count, and what they say.
README_COUNTS = {
    "validation images of the paper near a RAF-DB test image": 574,
    "validation images of the paper near a RAF-DB training image": 27,
    "six-class FER2013 test images with the same pixels in its training split": 521,
    "FER2013 test images near or equal to one of its training split": 775,
    "RAF-DB test images near a training image": 23,
    "groups of equal images with more than one label": 87,
}


def count_labels(parts: dict[str, dict[str, datasets.Dataset]]) -> dict[str, dict[str, dict[str, int]]]:
    """Images per corpus, split and label."""
    result: dict[str, dict[str, dict[str, int]]] = {}
    for corpus, splits in parts.items():
        for split, dataset in splits.items():
            counts = np.bincount(label_array(dataset) + 1, minlength=len(LABELS) + 1)[1:]
            named = {name: int(n) for name, n in zip(LABELS, counts, strict=True) if n}
            result.setdefault(corpus, {})[split] = named
    return result


def imbalance(counts: dict[str, dict[str, dict[str, int]]]) -> dict:
    """Per corpus, largest over smallest of the six classes in training; each corpus's share of all training images."""
    train = {corpus: splits["train"] for corpus, splits in counts.items() if "train" in splits}
    ratios, sizes = {}, {}
    for corpus, labels in train.items():
        six = [labels.get(name, 0) for name in EMOTIONS]
        sizes[corpus] = sum(six)
        ratios[corpus] = max(six) / min(six) if min(six) else None
    total = sum(sizes.values())
    return {"largest_over_smallest_class": ratios, "share_of_training": {c: n / total for c, n in sizes.items()}}


def duplicate_table(prints: Sequence[Fingerprints]) -> list[dict]:
    """For each ordered pair of splits: how many images of the first have a twin in the second; empty pairs left out."""
    rows = []
    for first in prints:
        for second in prints:
            found = list(twins(first, second, NEAR))
            if not found:
                continue
            differ = sum(first.labels[t.first] != second.labels[t.second] for t in found)
            rows.append(
                {
                    "first": first.key,
                    "second": second.key,
                    "images": len(first),
                    "exact": sum(t.exact for t in found),
                    "exact_or_near": len(found),
                    "other_label": int(differ),
                    "close_hash": sum(t.distance <= HASH_DISTANCE for t in found),
                }
            )
    return rows


def joined(
    prints: Sequence[Fingerprints], corpus: str, splits: Sequence[str], classes: int = len(LABELS)
) -> Fingerprints:
    """Several splits of one corpus as one, cut to the first `classes` labels."""
    parts = [p for p in prints if p.corpus == corpus and p.split in splits]
    masks = [(p.labels >= 0) & (p.labels < classes) for p in parts]

    def cut(name: str) -> np.ndarray:
        return np.concatenate([np.asarray(getattr(p, name))[mask] for p, mask in zip(parts, masks, strict=True)])

    arrays = {name: cut(name) for name in ("labels", "thumbnails", "hashes", "greys")}
    return Fingerprints(corpus, "+".join(splits), cut("sources").tolist(), sha256=cut("sha256").tolist(), **arrays)


def readme_counts(prints: Sequence[Fingerprints]) -> list[dict]:
    """What the corpora's README counts, counted again here."""
    known = {p.key: p for p in prints}
    held = ("train", "validation")
    valid, raf_test, raf = known["gimefive-valid/test"], known["raf-db/test"], joined(prints, "raf-db", held)
    fer_test, fer = known["fer2013/test"], joined(prints, "fer2013", held)
    six = joined(prints, "fer2013", ("test",), SIX)
    aggregate = [p for p in prints if p.corpus not in ("gimefive-valid", "ck48")]
    measured = (
        sum(t.correlation > 0.995 for t in twins(valid, raf_test)),
        sum(t.correlation > 0.995 for t in twins(valid, raf)),
        sum(t.exact for t in twins(six, fer)),
        len(list(twins(fer_test, fer))),
        len(list(twins(raf_test, raf))),
        len(conflicts(aggregate, SIX)),
    )
    rows = zip(README_COUNTS.items(), measured, strict=True)
    return [{"what": what, "readme": expected, "here": int(found)} for (what, expected), found in rows]


def blank_images(prints: Sequence[Fingerprints]) -> dict[str, list[str]]:
    """Images of one grey, by split."""
    found = {p.key: [s for s, t in zip(p.sources, p.thumbnails, strict=True) if not t.any()] for p in prints}
    return {key: sources for key, sources in found.items() if sources}


def ferplus_disagreement(dataset: datasets.Dataset) -> dict:
    """How often FER+'s most voted option is not FER2013's label, over the images with votes."""
    labels, votes = label_array(dataset), dataset["votes"][:]
    voted = [index for index, row in enumerate(votes) if row]
    counts = np.array([votes[index] for index in voted])
    winners, own = counts.argmax(1), labels[voted]
    tied = (counts == counts.max(1, keepdims=True)).sum(1) > 1
    wrong = ~tied & (winners != own)
    by_label = {
        LABELS[label]: {"images": int((own == label).sum()), "other": int((wrong & (own == label)).sum())}
        for label in np.unique(own)
    }
    table = Counter((LABELS[a], VOTES[b]) for a, b in zip(own[wrong], winners[wrong], strict=True))
    return {
        "images": len(dataset),
        "with_votes": len(voted),
        "tied": int(tied.sum()),
        "other": int(wrong.sum()),
        "by_label": by_label,
        "most_frequent": [{"label": a, "votes": b, "images": n} for (a, b), n in table.most_common(10)],
    }


def ffhq_shortcut(parts: dict[str, datasets.Dataset]) -> dict:
    """AffectNet's two sources by label, and how well sharpness alone tells them apart among happy faces."""
    dataset = datasets.concatenate_datasets(list(parts.values()))
    labels = label_array(dataset)
    ffhq = np.array([from_ffhq(source) for source in dataset["source"][:]])
    happy = labels == LABELS.index("happiness")
    return {
        "happy": int(happy.sum()),
        "ffhq": int(ffhq.sum()),
        "happy_from_ffhq": int((happy & ffhq).sum()),
        "other_from_ffhq": int((~happy & ffhq).sum()),
        "accuracy_of_source_alone": float((happy == ffhq).mean()),
        "sharpness_tells_source": sharpness_tells_source(dataset, ffhq),
    }


def sharpness_tells_source(dataset: datasets.Dataset, ffhq: np.ndarray, sample: int = 1000, seed: int = 0) -> dict:
    """
    Area under the ROC curve with which the variance of the Laplacian alone tells FFHQ's images from AffectNet's
    (0.5: not at all), over `sample` of each: as they are, and augmented with shared resampling, blur and JPEG.
    """
    draw = np.random.default_rng(seed)
    chosen = [draw.choice(np.flatnonzero(ffhq == own), sample, replace=False) for own in (True, False)]
    order = draw.permutation(2 * sample)
    indices, own = np.concatenate(chosen)[order], (np.arange(2 * sample) < sample)[order]
    images = to_tensors(dataset.select(indices), side=96, channels=1).images
    generator = torch.Generator().manual_seed(seed)
    options = Augmentation(light=0, erasing=0, resampling=0.5, blur=0.5, jpeg=0.5)
    augmented = torch.cat([augment(part, 96, options, generator) for part in images.split(16)])

    def area(batch: torch.Tensor) -> float:
        sharpness = [cv2.Laplacian(image[0].numpy().astype(np.float32), cv2.CV_32F).var() for image in batch]
        return float(roc_auc_score(own, sharpness))

    return {"images": 2 * sample, "as_they_are": area(images), "augmented": area(augmented)}


def faces_found(dataset: datasets.Dataset, sample: int, seed: int = 0) -> dict:
    """
    In how many of `sample` images (seeded draw) a face is found. A crop is laid into a frame of its own border colour,
    twice its side, because the detector wants to see some surroundings.
    """
    detector = FaceDetector(tile_scales=())
    chosen = np.random.default_rng(seed).permutation(len(dataset))[:sample]
    without = []
    for row in dataset.select(chosen).with_format("arrow").iter(batch_size=1):
        pixels = np.asarray(decode(row["image"].combine_chunks().field("bytes")[0].as_py()).convert("RGB"))
        pixels = cv2.resize(pixels, (160, 160), interpolation=cv2.INTER_LINEAR)
        if not detector(cv2.copyMakeBorder(pixels, 80, 80, 80, 80, cv2.BORDER_REPLICATE)):
            without.append(row["source"][0].as_py())
    return {"looked_at": len(chosen), "without_face": len(without), "sources": sorted(without)}


def summarise_leaks(leaks: Sequence[Leak], prints: Sequence[Fingerprints]) -> dict[str, dict]:
    """Per test split: images, leaked ones by kind, by corpus of the twin, and how many twins have the same label."""
    result = {}
    for part in prints:
        own = [leak for leak in leaks if leak.corpus == part.corpus]
        if part.split == "test":
            result[part.corpus] = {
                "images": len(part),
                "leaked": len(own),
                "kinds": Counter(leak.kind for leak in own),
                "twins_in": Counter(leak.twin_corpus for leak in own),
                "same_label": sum(leak.same_label for leak in own),
            }
    return result


def run_audit(data: Path, cache_dir: Path | None, out: Path, faces: int) -> dict:
    """All of the above for the corpora that are in `data`; writes the lists into `out` and returns the audit."""
    names = [name for name in CORPORA if locate_corpus(name, data)]
    parts = {name: dict(load_corpus(name, data, cache_dir, progress=True)) for name in names}
    problems = {name: prepare_corpus(name, data, cache_dir).problems for name in names}
    prints = [fingerprint(dataset, name, split) for name in names for split, dataset in parts[name].items()]
    held = [part for part in prints if part.split != "test"]
    leaks = [leak for part in prints if part.split == "test" for leak in find_leaks(part, held)]
    write_leaks(out / "leaked_test_images.csv", leaks)
    counts = count_labels(parts)
    audit = {
        "counts": counts,
        "imbalance": imbalance(counts),
        "duplicates": duplicate_table(prints),
        "leaks": summarise_leaks(leaks, prints),
        "precision": precision_by_kind(),
        "conflicts": {
            "six_classes": len(conflicts(prints, SIX)),
            "all_classes": len(conflicts(prints, len(LABELS))),
            "by_corpus": {n: len(conflicts([p for p in prints if p.corpus == n], len(LABELS))) for n in names},
        },
        "blank": blank_images(prints),
        "problems": {n: [f"{p.source}: {p.reason}" for p in found] for n, found in problems.items()},
        "faces": {n: faces_found(datasets.concatenate_datasets(list(parts[n].values())), faces) for n in names},
    }
    if "fer2013" in names:
        audit["ferplus"] = ferplus_disagreement(datasets.concatenate_datasets(list(parts["fer2013"].values())))
    if "affectnet" in names:
        audit["ffhq"] = ffhq_shortcut(parts["affectnet"])
    if {"raf-db", "fer2013", "gimefive-valid"} <= set(names):
        known = {part.key: part for part in prints}
        audit["readme_counts"] = readme_counts(prints)
        audit["close_hashes"] = {
            key: hash_twins(known[f"{key}/test"], joined(prints, key, ("train", "validation")), HASH_DISTANCE)
            for key in ("raf-db", "fer2013")
        }
        write_leaks(out / "valid_twins.csv", find_leaks(known["gimefive-valid/test"], [known["raf-db/test"]]))
    return audit


def main(argv: list[str] | None = None) -> int:
    parser = Script("training.audit", __doc__, data=True, store="--out")
    parser.add_argument("--cache", type=Path, help="folder of the caches")
    parser.add_argument("--faces", type=int, default=400, help="images per corpus in which a face is looked for")
    return parser.run(run, argv)


def run(args: argparse.Namespace) -> None:
    args.out.mkdir(parents=True, exist_ok=True)
    audit = run_audit(args.data, args.cache, args.out, args.faces)
    (args.out / "audit.json").write_text(json.dumps(audit, indent=1) + "\n")

    print(f"wrote {write_report(args.out)}")
