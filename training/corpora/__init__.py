"""
Facial-expression corpora as `datasets`: one schema, cached by content, with every bad file named.

    from training.corpora import load_corpus, load_aggregate, to_tensors

    raf = load_corpus("raf-db", root)          # DatasetDict: train, validation, test
    crops = to_tensors(raf["train"], side=64)  # uint8 (n, 3, 64, 64), labels, votes, sources
"""

from evaluation.corpora import CORPORA, SPLITS, Corpus, add_corpus, get_corpus

from .files import CorpusFiles
from .load import (
    AGGREGATE,
    AGGREGATE_TEST,
    balanced_indices,
    keep_classes,
    label_array,
    load_aggregate,
    load_corpus,
    prepare_corpus,
)
from .schema import FEATURES, LABELS, VOTES, CorpusError, Entry, Problem
from .tensors import Crops, joined, to_tensors

__all__ = [
    "AGGREGATE",
    "AGGREGATE_TEST",
    "CORPORA",
    "FEATURES",
    "LABELS",
    "SPLITS",
    "VOTES",
    "Corpus",
    "CorpusError",
    "CorpusFiles",
    "Crops",
    "Entry",
    "Problem",
    "add_corpus",
    "balanced_indices",
    "get_corpus",
    "joined",
    "keep_classes",
    "label_array",
    "load_aggregate",
    "load_corpus",
    "prepare_corpus",
    "to_tensors",
]
