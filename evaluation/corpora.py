"""
One record of each corpus, from which every list of corpora is derived: what is trained on, what selects a model, what
is tested, and how it is called. The records stand in `corpora.toml`; `add_corpus` adds one for a process.
"""

import pkgutil
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

SPLITS: tuple[str, ...] = ("train", "validation", "test")
SETTINGS = ("wild", "posed", "")


@dataclass(frozen=True)
class Corpus:
    """
    Args:
        name: as in `load_corpus(name, …)`, the cache and `training/corpora/split_lists/NAME.csv`.
        read: the files of a corpus → its entries and problems, in an order that depends on the files only; or where
            that function is, "package.module:function".
        title: for people.
        licence: the terms, in a few words.
        ask: where a person asks for it.
        subjects: name of the group of corpora that share their subjects; a subject is in one split of the group.
        splits: the splits it can have.
        short: its name in tables; by default `title`.
        subject_pattern: the subject in the name of a file, as a regular expression with one group.
        setting: "wild", photos as people take them, "posed", or "" for neither.
        train: whether it may be trained on.
        select: whether its validation part may select a model.
        test: whether models are evaluated on its test split, with the six emotions.
        neutral_test: whether those that know neutral are, with the seven classes alone.
        aggregate: whether it is a part of the GiMeFive paper's aggregate.
        official_test: whether its test split is the corpus's own, by which others report.
        groups: subgroup → first letter of its subjects.

    Raises ValueError for a record that contradicts itself.
    """

    name: str
    read: Callable[[Any], Iterator[Any]] | str
    title: str = ""
    licence: str = "unknown"
    ask: str = ""
    subjects: str | None = None
    splits: tuple[str, ...] = SPLITS
    short: str = ""
    subject_pattern: str | None = None
    setting: str = ""
    train: bool = True
    select: bool = True
    test: bool = True
    neutral_test: bool = False
    aggregate: bool = False
    official_test: bool = False
    groups: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "splits", tuple(self.splits))
        needs = {"train": "train", "select": "validation"} | dict.fromkeys(
            ("test", "neutral_test", "official_test"), "test"
        )
        faults = [f"{fact}, but no {split} split" for fact, split in needs.items() if self._lacks(fact, split)]
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", self.name):
            faults.append("a name that is not of small letters, digits and hyphens")
        if not self.splits or not set(self.splits) <= set(SPLITS):
            faults.append(f"splits {self.splits}; expected some of {', '.join(SPLITS)}")
        if self.setting not in SETTINGS:
            faults.append(f"setting {self.setting!r}; expected one of {', '.join(map(repr, SETTINGS))}")
        if self.subjects is None and (self.subject_pattern or self.groups):
            faults.append("a subject_pattern or groups, but no subjects")
        if self.subject_pattern is not None and re.compile(self.subject_pattern).groups != 1:
            faults.append(f"the subject_pattern {self.subject_pattern!r} without exactly one group")
        if faults:
            raise ValueError(f"the record of corpus {self.name!r} has {'; '.join(faults)}")

    def _lacks(self, fact: str, split: str) -> bool:
        return getattr(self, fact) and split not in self.splits

    @property
    def reader(self) -> Callable[[Any], Iterator[Any]]:
        """The function that reads it."""
        return pkgutil.resolve_name(self.read) if isinstance(self.read, str) else self.read


def read_records(path: Path = Path(__file__).parent / "corpora.toml") -> dict[str, dict[str, Any]]:
    """The tables of `corpora.toml`: facts of each corpus and texts of its card. "aggregate" has no reader."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


_FACTS = {item.name for item in fields(Corpus)}
_RECORDS = read_records()
CORPORA: dict[str, Corpus] = {
    name: Corpus(name, **{key: value for key, value in record.items() if key in _FACTS})
    for name, record in _RECORDS.items()
    if "read" in record
}
AGGREGATE = "aggregate"  # the test splits of RAF-DB and FER2013 together, as the GiMeFive paper tests


def add_corpus(corpus: Corpus) -> None:
    """Make a corpus known to this process; `ValueError` if the name is taken by another reader."""
    taken = CORPORA.setdefault(corpus.name, corpus)
    if taken != corpus:
        raise ValueError(f"there is already a corpus {corpus.name!r} ({taken.title}); choose another name")


def get_corpus(name: str) -> Corpus:
    """The corpus of that name; `ValueError` naming those that there are."""
    if name not in CORPORA:
        raise ValueError(f"no corpus {name!r}; there are {', '.join(CORPORA)}")
    return CORPORA[name]


def corpora_with(**facts: Any) -> tuple[str, ...]:
    """Names of the corpora of which all `facts` hold: `corpora_with(train=True)`, `corpora_with(setting="posed")`."""
    return tuple(
        name for name, corpus in CORPORA.items() if all(getattr(corpus, key) == value for key, value in facts.items())
    )


def corpora_of(corpus: str) -> tuple[str, ...]:
    """The corpora that a test split consists of: itself, or those of the aggregate."""
    return corpora_with(aggregate=True, official_test=True) if corpus == AGGREGATE else (corpus,)


def corpus_titles() -> dict[str, str]:
    """Name → what tables and pictures call it, of all that models are tested on, in the order of tables."""
    names = [*_RECORDS, *(name for name in CORPORA if name not in _RECORDS)]
    return {name: title_of(name) for name in names if name == AGGREGATE or CORPORA[name].test}


def title_of(corpus: str) -> str:
    """What tables and pictures call a corpus; its own name where there is no record of it."""
    if corpus in CORPORA:
        return CORPORA[corpus].short or CORPORA[corpus].title or corpus
    return _RECORDS.get(corpus, {}).get("short", corpus)
