"""
Finds the corpora in a folder, says what is missing and where to ask for it, and builds the cache.

    python -m training.prepare --data DIR [--cache DIR] [--strict] [raf-db fer2013 …]

A corpus is `DIR/NAME.zip` or a folder `DIR/NAME/`. An interrupted build goes on where it stopped when the command is
called again. Exit status: 0 done, 1 if a corpus that was asked for is missing or cannot be read (with --strict: has any
problem), 130 interrupted.
"""

import argparse
import logging
import sys
from pathlib import Path

from .corpora import CORPORA, SPLITS, CorpusError, get_corpus, prepare_corpus
from .corpora.cache import Prepared, default_cache_dir, describe
from .corpora.files import locate_corpus
from .script import Script


def describe_missing(name: str) -> str:
    """What the corpus is, under which terms, and where a person asks for it."""
    corpus = CORPORA[name]
    return f"missing   {name}: {corpus.title}. Terms: {corpus.licence}. Ask at {corpus.ask}"


def describe_ready(prepared: Prepared) -> str:
    """Images per split, the cache's folder, and the first problems."""
    counts = ", ".join(f"{prepared.counts[split]:,} {split}" for split in SPLITS if prepared.counts.get(split))
    text = f"ready     {prepared.corpus}: {counts}; {prepared.folder}"
    if prepared.problems:
        listing = prepared.folder / "problems.csv"
        text += f"\n{len(prepared.problems)} problem(s), all in {listing}\n{describe(prepared.problems)}"
    return text


def prepare_all(data: Path, cache_dir: Path, names: list[str], strict: bool) -> int:
    """Prepare what is there; returns the exit status. Without names, a missing corpus is told but is no failure."""
    failed = False
    for name in names or CORPORA:
        get_corpus(name)
        path = locate_corpus(name, data)
        if path is None:
            print(describe_missing(name))
            failed |= bool(names)
            continue
        try:
            print(describe_ready(prepare_corpus(name, path, cache_dir, strict, progress=True)))
        except CorpusError as error:
            print(f"failed    {error}")
            failed = True
    return int(failed)


def main(argv: list[str] | None = None) -> int:
    parser = Script("training.prepare", __doc__, data=True)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(CORPORA)}; all by default")
    parser.add_argument("--cache", type=Path, default=default_cache_dir(), help="folder of the caches (%(default)s)")
    parser.add_argument("--strict", action="store_true", help="any problem in a corpus is a failure")
    return parser.run(run, argv)


def run(args: argparse.Namespace) -> int:
    if unknown := [name for name in args.names if name not in CORPORA]:
        raise ValueError(f"no corpus {', '.join(unknown)}; there are {', '.join(CORPORA)}")
    if not args.data.is_dir():
        raise ValueError(f"--data: no folder {args.data}")
    logging.getLogger("training.corpora").setLevel(logging.ERROR)  # the problems are printed here
    try:
        return prepare_all(args.data, args.cache, args.names, args.strict)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here")
        return 130


if __name__ == "__main__":
    sys.exit(main())
