"""`load_corpus` and `load_aggregate`: corpora as `datasets`, from the cache or as a stream."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import datasets
import numpy as np

from evaluation.corpora import CORPORA, SPLITS, corpora_with, get_corpus

from .cache import Prepared, default_cache_dir, describe, make_row, prepare
from .files import CorpusFiles, find_corpus
from .schema import FEATURES, LABELS, CorpusError, Problem
from .splits import SplitList

logger = logging.getLogger(__name__)

# What the paper trains on together; its aggregate test is that of the two corpora with an official one.
AGGREGATE = corpora_with(aggregate=True)
AGGREGATE_TEST = corpora_with(aggregate=True, official_test=True)
BALANCES = (None, "class", "corpus", "both")


def prepare_corpus(
    name: str, root: str | Path, cache_dir: str | Path | None = None, strict: bool = False, progress: bool = False
) -> Prepared:
    """
    Build the cache of a corpus, or find it built, and tell what is wrong with the corpus.

    Args:
        name: a name of `CORPORA`.
        root: folder with `NAME.zip` or `NAME/`, or the corpus's own folder or zip.
        cache_dir: folder of all caches; by default `default_cache_dir()`.
        strict: any problem is an error.
        progress: show a bar.

    Raises:
        ValueError: if there is no corpus of that name.
        CorpusError: if it cannot be read or, with `strict`, has a problem.
    """
    corpus, path = get_corpus(name), find_corpus(name, root, CORPORA)
    prepared = prepare(corpus, path, Path(cache_dir or default_cache_dir()), progress)
    if prepared.problems:
        text = f"{name}: {len(prepared.problems)} problem(s), all in {prepared.folder / 'problems.csv'}"
        text += f"\n{describe(prepared.problems)}"
        if strict:
            raise CorpusError(text)
        logger.warning(text)
    return prepared


def load_corpus(
    name: str,
    root: str | Path,
    cache_dir: str | Path | None = None,
    streaming: bool = False,
    strict: bool = False,
    progress: bool = False,
) -> datasets.DatasetDict | datasets.IterableDatasetDict:
    """
    A corpus with the columns of `FEATURES`, one dataset for each split that it has.

    Args:
        name: a name of `CORPORA`.
        root: folder with `NAME.zip` or `NAME/`, or the corpus's own folder or zip.
        cache_dir: folder of all caches; by default `default_cache_dir()`. A stream does not use it.
        streaming: read the corpus itself, one image at a time, every time; the splits are those that the corpus can
            have, and problems show when the stream meets them.
        strict: any problem is an error. Otherwise problems are logged as one warning and stand in `problems.csv`.
        progress: show a bar while the cache is built.

    Raises:
        ValueError: if there is no corpus of that name.
        CorpusError: if it cannot be read or, with `strict`, has a problem.
    """
    corpus = get_corpus(name)
    if streaming:
        path = str(find_corpus(name, root, CORPORA))
        CorpusFiles(path)  # so that a missing corpus is an error now
        streams = {
            split: datasets.IterableDataset.from_generator(
                stream_rows,
                features=FEATURES,
                gen_kwargs={"name": name, "path": path, "split": split, "strict": strict},
                split=datasets.NamedSplit(split),
            )
            for split in corpus.splits
        }
        return datasets.IterableDatasetDict(streams)
    prepared = prepare_corpus(name, root, cache_dir, strict, progress)
    return datasets.DatasetDict({split: read_split(prepared, split) for split in SPLITS if prepared.counts.get(split)})


def read_split(prepared: Prepared, split: str) -> datasets.Dataset:
    """One split of a built cache, memory-mapped."""
    named = datasets.NamedSplit(split)
    parts = [datasets.Dataset.from_file(str(path), split=named) for path in prepared.files(split)]
    return datasets.concatenate_datasets(parts, split=named)


def stream_rows(name: str, path: str, split: str, strict: bool) -> Iterator[dict]:
    """Rows of one split straight from the corpus. An image whose split is known before decoding is not even read."""
    corpus, files = get_corpus(name), CorpusFiles(path)
    splits = SplitList(name, corpus.subjects)
    problems = list(files.problems)
    for item in corpus.reader(files):
        if isinstance(item, Problem):
            problems.append(item)
        elif splits.could_be(split, item.source, item.split, item.subject):
            try:
                row, odd = make_row(corpus, item, splits)
            except (OSError, ValueError, SyntaxError) as error:
                problems.append(Problem(item.source, f"cannot be read: {error}"))
                continue
            problems += odd
            if row["split"] == split:
                yield row
        if strict and problems:
            raise CorpusError(f"{name}: {describe(problems)}")
    if problems:
        logger.warning(f"{name}, {split}, streamed: {len(problems)} problem(s)\n{describe(problems)}")


def label_array(dataset: datasets.Dataset) -> np.ndarray:
    """Label indices as int64 (n,); -1 where there is none."""
    return np.array([-1 if label is None else label for label in dataset["label"][:]], dtype=np.int64)


def keep_classes(dataset: datasets.Dataset, classes: int = 6) -> datasets.Dataset:
    """
    The images of the first `classes` of LABELS: 6 emotions, 7 with neutral, 8 with contempt; `label` becomes a
    `ClassLabel` of that many names. Frames without a label are left out in any case.
    """
    if classes not in (6, 7, 8):
        raise ValueError(f"classes must be 6, 7 (with neutral) or 8 (with contempt); got {classes}")
    labels = label_array(dataset)
    kept = dataset.select(np.flatnonzero((labels >= 0) & (labels < classes)))
    info = kept.info.copy()
    info.features = kept.features.copy()
    info.features["label"] = datasets.ClassLabel(names=list(LABELS[:classes]))
    # Dataset.cast would write all images again; the labels' numbers stay, only their names are fewer.
    return datasets.Dataset(kept.data, info=info, split=kept.split, indices_table=kept._indices)


def balanced_indices(dataset: datasets.Dataset, balance: str, seed: int) -> np.ndarray:
    """
    Indices of as many images as the dataset has, drawn with replacement so that all classes ("class"), all corpora
    ("corpus"), or all classes of all corpora ("both") are equally likely.
    """
    labels, corpora = label_array(dataset), np.array(dataset["corpus"][:])
    keys = {"class": labels, "corpus": corpora, "both": np.char.add(corpora, labels.astype(str))}[balance]
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    weights = 1 / counts[inverse]
    return np.random.default_rng(seed).choice(len(labels), size=len(labels), p=weights / weights.sum())


def load_aggregate(
    root: str | Path,
    corpora: Sequence[str] = AGGREGATE,
    test: Sequence[str] = AGGREGATE_TEST,
    classes: int = 6,
    balance: str | None = None,
    interleave: bool = False,
    seed: int = 0,
    **options,
) -> datasets.DatasetDict | datasets.IterableDatasetDict:
    """
    Several corpora as one.

    Args:
        root: folder with the corpora.
        corpora: whose training and validation splits are joined.
        test: whose test splits are joined; by default those of the paper's aggregate, 8,333 images.
        classes: 6, 7 (with neutral) or 8 (with contempt).
        balance: how the training split is drawn, with replacement and as long as without: None takes every image once,
            "class", "corpus" and "both" see `balanced_indices`.
        interleave: shuffle the joined training split instead of putting the corpora one after the other. Streams,
            whose lengths nobody knows, are interleaved in turn, and only with balance="corpus"; the shorter ones
            begin again until the longest is through.
        seed: of the draw and of the mixing.
        options: of `load_corpus`, such as `streaming`.

    Raises:
        ValueError: if an option is none of these, or a stream is to be balanced by class, which needs all labels.
        CorpusError: as `load_corpus`.
    """
    streaming = options.get("streaming", False)
    if balance not in BALANCES:
        raise ValueError(f"balance must be one of {', '.join(map(str, BALANCES))}; got {balance!r}")
    if streaming and (balance, interleave) not in ((None, False), ("corpus", True)):
        raise ValueError(
            "streams can be joined one after the other, or interleaved with balance='corpus', interleave=True; got "
            f"balance={balance!r}, interleave={interleave}: load them without streaming"
        )
    loaded = {name: load_corpus(name, root, **options) for name in dict.fromkeys((*corpora, *test))}
    result = {}
    for split in SPLITS:
        chosen = [loaded[name][split] for name in (test if split == "test" else corpora) if split in loaded[name]]
        if not chosen:
            continue
        if streaming:
            chosen = [stream_classes(dataset, classes) for dataset in chosen]
            mixed = split == "train" and interleave
            join = datasets.interleave_datasets if mixed else datasets.concatenate_datasets
            how = {"seed": seed, "stopping_strategy": "all_exhausted"} if mixed else {}
            result[split] = join(chosen, **how)
            continue
        joined = datasets.concatenate_datasets([keep_classes(dataset, classes) for dataset in chosen])
        if split == "train" and balance:
            joined = joined.select(balanced_indices(joined, balance, seed))
        elif split == "train" and interleave:
            joined = joined.shuffle(seed=seed)
        result[split] = joined
    return (datasets.IterableDatasetDict if streaming else datasets.DatasetDict)(result)


def stream_classes(stream: datasets.IterableDataset, classes: int) -> datasets.IterableDataset:
    """`keep_classes` for a stream."""
    names = list(LABELS[:classes])
    kept = stream.filter(lambda label: label is not None and label < classes, input_columns=["label"])
    return kept.cast_column("label", datasets.ClassLabel(names=names))
