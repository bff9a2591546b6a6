"""A small store of invented predictions, for the tests of everything that reads the store."""

from pathlib import Path

import numpy as np
import pandas as pd

from evaluation.rows import update_results
from evaluation.store import NEUTRAL, PUBLISHED_COLUMNS, ModelFacts, write_predictions, write_table
from gimefive_hf.configuration_gimefive import EMOTIONS


def make_facts(model: str = "alpha", revision: str = "abc123", **kwargs) -> ModelFacts:
    facts = {
        "trained_on": "raf-db+fer2013",
        "seed": 0,
        "parameters": 1000,
        "classes": 6,
        "recipe": "invented for a test",
    }
    facts |= {"licence": "none", "commit": "0000000", "date": "2026-01-02"}
    return ModelFacts(model=model, revision=revision, **(facts | kwargs))


def make_predictions(
    corpus: str = "raf-db",
    n: int = 60,
    split: str = "test",
    protocol: str = "aligned",
    right: float = 0.8,
    seed: int = 0,
    neutral: bool = False,
) -> pd.DataFrame:
    """n predictions, the given share of them right; labels in turn; the columns that `write_predictions` wants."""
    generator = np.random.default_rng(seed)
    names = [*EMOTIONS, NEUTRAL] if neutral else list(EMOTIONS)
    labels = np.arange(n) % len(names)
    scores = generator.dirichlet(np.full(len(names), 0.5), n)
    scores.sort(axis=1)
    predicted = np.where(generator.random(n) < right, labels, (labels + 1) % len(names))
    rows = np.arange(n)
    top = scores[rows, -1].copy()
    scores[rows, -1] = scores[rows, predicted]
    scores[rows, predicted] = top
    subjects = [f"{'fm'[i % 2]}{i // 12:02d}" for i in range(n)]
    frame = pd.DataFrame(scores, columns=names)
    frame[NEUTRAL] = frame[NEUTRAL] if neutral else np.nan
    return frame.assign(
        corpus=corpus,
        split=split,
        protocol=protocol,
        source=[f"{corpus}/{i:03d}.jpg" for i in range(n)],
        subject=subjects if corpus in ("tfeid", "ck48") else None,
        label=[names[i] for i in labels],
        face_found=True,
    )


def make_store(folder: Path, models: dict[str, float] | None = None, corrupted: bool = False) -> None:
    """A store with RAF-DB, FER2013 and TFEID test predictions of two models, results and a published figure."""
    for number, (model, right) in enumerate((models or {"alpha": 0.8, "beta": 0.6}).items()):
        for corpus, n in (("raf-db", 240), ("fer2013", 60), ("tfeid", 48)):
            write_predictions(folder, make_facts(model), make_predictions(corpus, n, right=right, seed=number))
        if corrupted and number == 0:
            for protocol, share in (("corrupted/jpeg/1", 0.7), ("corrupted/jpeg/5", 0.3), ("detected", 0.7)):
                write_predictions(folder, make_facts(model), make_predictions("raf-db", 30, "test", protocol, share))
    update_results(folder)
    published = pd.DataFrame(
        [["GiMeFive paper, invented", "gamma", 10, "raf-db", "raf-db", "test", "accuracy", 0.865, 2388]],
        columns=PUBLISHED_COLUMNS,
    )
    write_table(folder / "published.csv", published, PUBLISHED_COLUMNS, PUBLISHED_COLUMNS[:7])
