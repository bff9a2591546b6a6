"""Where a model of the store is weakest: sentences with intervals and denominators, for its card and the explorer."""

import pandas as pd

from gimefive_hf.emotions import EMOTIONS

from ..corpora import title_of
from ..queries import as_given, find_row, percent_text, right_of, tested_corpora
from ..store import Store

LEAST_IMAGES = 30  # of a class; a recall of fewer images says next to nothing


def own_corpora(store: Store, model: str) -> list[str]:
    """Tested corpora without the aggregate and the paper's validation set, which repeat images of the others."""
    return [c for c in tested_corpora(store, model) if c not in ("aggregate", "gimefive-valid")]


def weakest_class(store: Store, model: str) -> pd.Series | None:
    """The row of the lowest recall among classes with `LEAST_IMAGES` images."""
    wheres = [{"corpus": corpus, "class": name} for corpus in own_corpora(store, model) for name in EMOTIONS]
    rows = [row for where in wheres if (row := find_row(store, model, "recall", **where)) is not None]
    rows = [row for row in rows if row["n_scored"] >= LEAST_IMAGES]
    return min(rows, key=lambda row: row["value"], default=None)


def commonest_mistake(store: Store, model: str, corpus: str, label: str) -> tuple[str, int, int] | None:
    """What images of a class are most often taken for, how many of them, and out of how many."""
    counts = [
        (int(row["value"]), name, int(row["n_scored"]))
        for name in EMOTIONS
        if name != label
        and (row := find_row(store, model, "confusion", corpus=corpus, **{"class": f"{label}>{name}"})) is not None
    ]
    count, name, total = max(counts, default=(0, "", 0))
    return (name, count, total) if count else None


def worst_corruption(store: Store, model: str) -> pd.Series | None:
    """The row of the lowest accuracy among the corrupted protocols."""
    table = store.results
    chosen = (table["model"] == model) & (table["metric"] == "accuracy") & (table["subset"] == "full")
    rows = table[chosen & table["protocol"].str.startswith("corrupted") & (table["classes"] == 6)]
    return rows.nsmallest(1, "value").iloc[0] if len(rows) else None


def class_sentence(store: Store, model: str) -> str | None:
    row = weakest_class(store, model)
    if row is None:
        return None
    corpus = row["corpus"]
    text = f"of the {row['n_scored']:,} faces labelled {row['class']} in the test split of {title_of(corpus)}, "
    text += f"{model} recognises {percent_text(row, n=False)}"
    if mistake := commonest_mistake(store, model, corpus, row["class"]):
        name, count, total = mistake
        text += f" and takes {100 * count / total:.1f} % ({count:,}) for {name}"
    return f"{text}."


def corruption_sentence(store: Store, model: str) -> str | None:
    row = worst_corruption(store, model)
    if row is None:
        return None
    _, name, strength = row["protocol"].split("/")
    aligned = as_given(store, model, row["corpus"], [row["protocol"]])
    text = f"{name.replace('_', ' ')} at strength {strength} of 5, with an accuracy of {percent_text(row)} images of "
    text += title_of(row["corpus"])
    if len(aligned) != row["n_scored"]:  # the store has not all of them
        return f"{text}."
    return f"{text} ({100 * right_of(aligned).mean():.1f} % of the same images as given)."


def corpus_sentence(store: Store, model: str) -> str | None:
    rows = [row for c in own_corpora(store, model) if (row := find_row(store, model, corpus=c)) is not None]
    row = min(rows, key=lambda row: row["value"], default=None)
    return None if row is None else f"{title_of(row['corpus'])}, accuracy {percent_text(row)} images."


def weak_spots(store: Store, model: str) -> dict[str, str]:
    """What is weakest → the sentence on it, the class first; only what the store has figures of."""
    sentences = {
        "Weakest spot": class_sentence(store, model),
        "Worst corruption": corruption_sentence(store, model),
        "Lowest accuracy": corpus_sentence(store, model),
    }
    return {name: text for name, text in sentences.items() if text is not None}
