"""
Draw the fixed splits from the corpora, by the rule that `splits` tells.

    python -m training.corpora.draw_splits --data DIR      # writes split_lists/*.csv from the zips in DIR
"""

import argparse
import csv
import random
import re
import zipfile
from collections import defaultdict
from pathlib import Path

from evaluation.corpora import corpora_with, get_corpus

from .files import CorpusFiles
from .schema import Entry, decode, pixel_hash
from .splits import SPLITS_DIR, TEST_SHARE, VALIDATION_SHARE, subject_of

OFFICIAL = re.compile(r"(?:^|/)(train|test)/")


def share_out(units: list[str], shares: dict[str, float], sizes: dict[str, int], seed: str) -> dict[str, str]:
    """Give shuffled `units` to the splits named in `shares` until each has its share of all; the rest is training."""
    units = sorted(units)
    random.Random(seed).shuffle(units)
    total = sum(sizes[unit] for unit in units)
    result, queue = {}, iter(units)
    for split, share in shares.items():
        taken = 0
        while taken < round(share * total):
            unit = next(queue)
            result[unit] = split
            taken += sizes[unit]
    return {unit: result.get(unit, "train") for unit in units}


def split_by_subject(group: str, subjects: dict[str, str]) -> dict[str, str]:
    """`subjects` maps source to subject; every subject counts once, so both copies of a corpus agree."""
    names = sorted(set(subjects.values()))
    shares = {"test": TEST_SHARE, "validation": VALIDATION_SHARE}
    split = share_out(names, shares, dict.fromkeys(names, 1), seed=group)
    return {source: split[subject] for source, subject in subjects.items()}


def split_by_class(corpus: str, classes: dict[str, str], hashes: dict[str, str]) -> dict[str, str]:
    """`classes` and `hashes` map source to class folder and pixel hash; an official train/test folder is kept."""
    official = {source: match.group(1) for source in classes if (match := OFFICIAL.search(source))}
    in_test = {hashes[source] for source, split in official.items() if split == "test"}
    shares = {"validation": VALIDATION_SHARE}
    if not official:
        shares = {"test": TEST_SHARE, "validation": VALIDATION_SHARE}
    members: dict[str, list[str]] = defaultdict(list)
    for source in sorted(classes):
        if official.get(source) != "test":
            members[hashes[source]].append(source)
    strata: dict[str, list[str]] = defaultdict(list)
    for digest, sources in members.items():
        if digest not in in_test:
            strata[classes[sources[0]]].append(digest)
    split_of_hash: dict[str, str] = {}
    sizes = {digest: len(sources) for digest, sources in members.items()}
    for name, digests in sorted(strata.items()):
        split_of_hash |= share_out(digests, shares, sizes, seed=f"{corpus}/{name}")
    return {s: "test" if official.get(s) == "test" else split_of_hash.get(hashes[s], "train") for s in classes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the corpora's zip files")
    data = parser.parse_args().data

    SPLITS_DIR.mkdir(exist_ok=True)
    by_subject: dict[str, dict[str, str]] = defaultdict(dict)
    tables: dict[str, dict[str, str]] = {}
    used: set[str] = set()
    for corpus in corpora_with(train=True):
        record = get_corpus(corpus)
        with zipfile.ZipFile(data / f"{corpus}.zip") as archive:
            sources = sorted(name for name in archive.namelist() if name.endswith((".jpg", ".png")))
            if record.subjects and record.subject_pattern:
                for source in sources:
                    by_subject[record.subjects][f"{corpus}:{source}"] = subject_of(source, record.subject_pattern)
                files = CorpusFiles(data / f"{corpus}.zip")
                used |= {f"{corpus}:{e.source}" for e in record.reader(files) if isinstance(e, Entry)}
                continue
            hashes = {source: pixel_hash(decode(archive.read(source))) for source in sources}
            tables[corpus] = split_by_class(corpus, {s: s.split("/")[-2] for s in sources}, hashes)
    for group, subjects in by_subject.items():
        for key, split in split_by_subject(group, subjects).items():
            if key in used:  # some of Muxspace's classes are not read
                corpus, source = key.split(":", 1)
                tables.setdefault(corpus, {})[source] = split
    for corpus, table in tables.items():
        with open(SPLITS_DIR / f"{corpus}.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["corpus", "source", "split"])
            writer.writerows([corpus, source, split] for source, split in sorted(table.items()))
        print(corpus, {split: list(table.values()).count(split) for split in ("train", "validation", "test")})


if __name__ == "__main__":
    main()
