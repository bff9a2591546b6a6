"""What `training.audit` counted on a corpus, in sentences and a table for its card."""

import csv
from collections import Counter
from pathlib import Path

from gimefive_hf.emotions import EMOTIONS

from ..corpora import AGGREGATE, SPLITS, corpora_of, corpora_with

CLASSES = (*EMOTIONS, "neutral", "contempt")


def part_of(count: int, total: int) -> str:
    return f"{count:,} of {total:,} ({100 * count / total:.1f} %)"


def audit_sentences(audit: dict, corpus: str) -> list[str]:
    """
    Faults of one corpus with their counts; none for a corpus that was not audited.

    Args:
        audit: the content of `evaluation/results/audit.json`.
    """
    sentences = []
    if leaks := audit["leaks"].get(corpus):
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in leaks["kinds"].items())
        text = (
            f"{part_of(leaks['leaked'], leaks['images'])} test images, of all classes, have a twin in the training or "
        )
        text += "held-out split of a corpus"
        sentences.append(f"{text} ({kinds})." if kinds else f"{text}.")
    if conflicts := audit["conflicts"]["by_corpus"].get(corpus):
        sentences.append(f"{conflicts:,} groups of identical images carry more than one label.")
    if (faces := audit["faces"].get(corpus)) and faces["without_face"]:
        looked = part_of(faces["without_face"], faces["looked_at"])
        sentences.append(f"In {looked} images looked at, our detector found no face.")
    if corpus == "fer2013" and (votes := audit.get("ferplus")):
        fear = votes["by_label"]["fear"]
        sentences.append(
            f"For {part_of(votes['other'], votes['with_votes'])} images that have votes, what most of FER+'s ten "
            f"annotators saw is not the label; for {votes['tied']:,} more the vote is tied. Of those labelled fear it "
            f"is {part_of(fear['other'], fear['images'])}."
        )
    if corpus == "affectnet" and (ffhq := audit.get("ffhq")):
        sentences.append(
            f"{part_of(ffhq['happy_from_ffhq'], ffhq['happy'])} happy faces come from FFHQ, and "
            f"{part_of(ffhq['happy_from_ffhq'], ffhq['ffhq'])} FFHQ faces are happy: a network can read the source "
            "instead of the smile."
        )
    return sentences


def aggregate_counts(audit: dict) -> dict[str, dict[str, int]]:
    """Split → class → images of the aggregate's parts together; its test split is that of the parts with their own."""
    splits: dict[str, dict[str, int]] = {}
    for split in SPLITS:
        parts = corpora_of(AGGREGATE) if split == "test" else corpora_with(aggregate=True)
        found = [audit["counts"].get(part, {}).get(split, {}) for part in parts]
        splits[split] = {name: sum(counts.get(name, 0) for counts in found) for name in EMOTIONS}
    return splits if any(any(counts.values()) for counts in splits.values()) else {}


def count_rows(audit: dict, corpus: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the images per split and class; no rows for a corpus that was not audited."""
    splits = aggregate_counts(audit) if corpus == AGGREGATE else audit["counts"].get(corpus, {})
    names = [name for name in CLASSES if any(name in counts for counts in splits.values())]
    rows = [
        [split, f"{sum(counts.values()):,}", *(f"{counts.get(name, 0):,}" for name in names)]
        for split, counts in splits.items()
    ]
    return ["split", "images", *names], rows


def listed_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the images per split that a split list names; no rows if there is none."""
    if not path.is_file():
        return ["split", "images"], []
    with open(path, newline="", encoding="utf-8") as file:
        counts = Counter(row["split"] for row in csv.DictReader(file))
    return ["split", "images"], [[split, f"{counts[split]:,}"] for split in SPLITS if counts[split]]
