"""Every corpus by name: how it is read, what it is, and where a person asks for it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .files import CorpusFiles
from .readers import affectnet, ck, disfa, fer2013, muxspace, paper, raf_db, tfeid
from .schema import SPLITS, Entry, Problem


@dataclass(frozen=True)
class Corpus:
    """
    Args:
        name: as in `load_corpus(name, …)`, the cache and `training/corpora/split_lists/NAME.csv`.
        read: the files of a corpus → its entries and problems, in an order that depends on the files only.
        title: for people.
        licence: the terms, in a few words.
        ask: where a person asks for it.
        subjects: name of the group of corpora that share their subjects; a subject is in one split of the group.
        splits: the splits it can have.
    """

    name: str
    read: Callable[[CorpusFiles], Iterator[Entry | Problem]]
    title: str = ""
    licence: str = "unknown"
    ask: str = ""
    subjects: str | None = None
    splits: tuple[str, ...] = SPLITS


CORPORA: dict[str, Corpus] = {}


def add_corpus(corpus: Corpus) -> None:
    """Make a corpus known to `load_corpus`; `ValueError` if the name is taken by another reader."""
    taken = CORPORA.setdefault(corpus.name, corpus)
    if taken != corpus:
        raise ValueError(f"there is already a corpus {corpus.name!r} ({taken.title}); choose another name")


RESEARCH = "non-commercial research only, on request"

for _corpus in (
    Corpus("raf-db", raf_db.read, "RAF-DB, basic emotions", RESEARCH, "http://www.whdeng.cn/raf/model1.html"),
    Corpus(
        "fer2013",
        fer2013.read,
        "FER2013 with FER+ votes",
        "images: Kaggle competition terms; votes: MIT",
        "https://www.kaggle.com/datasets/msambare/fer2013 and https://github.com/microsoft/FERPlus",
    ),
    Corpus(
        "affectnet",
        affectnet.read,
        "AffectNet, Kaggle's selection with FFHQ",
        RESEARCH,
        "http://mohammadmahoor.com/affectnet/",
    ),
    Corpus(
        "ck48",
        ck.read,
        "CK+, last three frames of each sequence",
        RESEARCH,
        "https://www.jeffcohn.net/Resources/",
        "ck",
    ),
    Corpus("ck-paper", ck.read, "CK+ as in the GiMeFive paper", RESEARCH, "https://www.jeffcohn.net/Resources/", "ck"),
    Corpus(
        "muxspace",
        muxspace.read,
        "Facial expressions of muxspace, neutral and happiness",
        "Apache-2.0",
        "https://github.com/muxspace/facial_expressions",
        "muxspace",
    ),
    Corpus("tfeid", tfeid.read, "TFEID, posed", RESEARCH, "https://bml.ym.edu.tw/tfeid/", "tfeid"),
    Corpus(
        "gimefive-valid",
        paper.read_valid,
        "the GiMeFive paper's validation set, for comparison only",
        RESEARCH,
        "https://github.com/werywjw/SEP-CVDL",
        splits=("test",),
    ),
    Corpus(
        "gimefive",
        paper.read_train_test,
        "the GiMeFive paper's train/ and test/",
        RESEARCH,
        "https://github.com/werywjw/SEP-CVDL",
    ),
    Corpus(
        "disfa", disfa.read, "DISFA, video with action units", RESEARCH, "http://mohammadmahoor.com/disfa/", "disfa"
    ),
):
    add_corpus(_corpus)


def get_corpus(name: str) -> Corpus:
    """The corpus of that name; `ValueError` naming those that there are."""
    if name not in CORPORA:
        raise ValueError(f"no corpus {name!r}; there are {', '.join(CORPORA)}")
    return CORPORA[name]
