"""
The cache: one folder of Arrow files per state of a corpus, written in parts, so that an interrupted build goes on.

The folder's name holds a digest of the corpus's files (names, sizes, CRCs or times), of its list of splits and of its
reader's code: whatever changes, another folder is built, and stale rows cannot come back.
"""

import csv
import hashlib
import inspect
import io
import itertools
import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from datasets.arrow_writer import ArrowWriter
from filelock import FileLock
from PIL import Image
from tqdm import tqdm

from evaluation.corpora import Corpus
from gimefive_hf.images.opening import FORMATS
from gimefive_hf.tables import write_whole

from .files import CorpusFiles
from .schema import FEATURES, LABELS, CorpusError, Entry, Problem, decode, pixel_hash
from .splits import SplitList

FORMAT = 1  # raise it when the columns change
PART = 4096  # entries per part: what an interrupted build may lose
BATCH_ROWS = 100  # of a record batch; of DISFA's frames more would fill the memory
PIL_FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".bmp": "BMP"}


def default_cache_dir() -> Path:
    """`$GIMEFIVE_CACHE`, or `gimefive/corpora` in the user's cache folder."""
    if os.environ.get("GIMEFIVE_CACHE"):
        return Path(os.environ["GIMEFIVE_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gimefive" / "corpora"


@dataclass
class Prepared:
    """A corpus in the cache: its folder, images per split, and everything that was wrong with it."""

    corpus: str
    folder: Path
    counts: dict[str, int]
    problems: list[Problem]

    def files(self, split: str) -> list[Path]:
        """The Arrow files of one split, in order."""
        return sorted(self.folder.glob(f"part-*/{split}.arrow"))


def make_row(corpus: Corpus, entry: Entry, splits: SplitList) -> tuple[dict, list[Problem]]:
    """
    Decode one entry and give its row and what is odd about it; `OSError` or `ValueError` with the reason if the image
    cannot be read.
    """
    assert entry.label in LABELS or (entry.label is None and entry.action_units), entry
    data = entry.load()
    try:
        image = decode(data)
    except Image.UnidentifiedImageError as error:
        raise OSError(f"not an image: {len(data)} bytes that begin with {data[:8]!r}") from error
    except Image.DecompressionBombError as error:
        raise OSError(f"too large: {error}") from error
    digest = pixel_hash(image)
    problems = []
    expected = PIL_FORMATS.get(Path(entry.source).suffix.lower())
    with Image.open(io.BytesIO(data), formats=list(FORMATS)) as header:
        if expected and header.format != expected:
            problems.append(Problem(entry.source, f"its name says {expected}, its bytes are {header.format}", False))
    row = {
        "image": {"bytes": data, "path": None},
        "label": None if entry.label is None else LABELS.index(entry.label),
        "votes": entry.votes,
        "action_units": entry.action_units,
        "corpus": corpus.name,
        "split": splits.find(entry.source, entry.split, entry.subject) or splits.by_rule(digest, entry.split),
        "subject": entry.subject,
        "source": entry.source,
        "sha256": digest,
    }
    return row, problems


def write_part(folder: Path, corpus: Corpus, items: Iterable[Entry | Problem], splits: SplitList) -> None:
    """Write one part beside its final place, then move it there: a part that exists is whole."""
    draft = folder.with_suffix(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    counts: Counter[str] = Counter()
    writers: dict[str, ArrowWriter] = {}
    problems = []
    for item in items:
        if isinstance(item, Problem):
            problems.append(item)
            continue
        try:
            row, odd = make_row(corpus, item, splits)
        except (OSError, ValueError, SyntaxError) as error:  # PIL raises all three for damaged files
            problems.append(Problem(item.source, f"cannot be read: {error}"))
            continue
        split = row["split"]
        if split not in writers:
            path = str(draft / f"{split}.arrow")
            writers[split] = ArrowWriter(path=path, features=FEATURES, writer_batch_size=BATCH_ROWS)
        writers[split].write(row)
        counts[split] += 1
        problems += odd
    for writer in writers.values():
        writer.finalize()
    summary = {"counts": counts, "problems": [asdict(problem) for problem in problems]}
    (draft / "part.json").write_text(json.dumps(summary, indent=1))
    os.rename(draft, folder)


def cache_key(corpus: Corpus, files: CorpusFiles, splits: SplitList) -> str:
    """Digest of everything that the rows depend on."""
    try:
        code = Path(inspect.getsourcefile(corpus.reader) or "").read_bytes()
    except (TypeError, OSError):  # a reader typed in at a prompt has no file
        code = corpus.reader.__code__.co_code
    text = f"{FORMAT} {corpus.name} {files.digest} {splits.digest} {hashlib.sha256(code).hexdigest()}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def prepare(corpus: Corpus, path: Path, cache_dir: Path, progress: bool = False) -> Prepared:
    """
    Build the cache of one corpus, or find it built; an interrupted build goes on at its last whole part.

    Args:
        corpus: which reader.
        path: the corpus's folder or zip.
        cache_dir: folder of all caches.
        progress: show a bar on stderr.

    Raises:
        CorpusError: if there is nothing to read at `path`, or no image in it.
    """
    files = CorpusFiles(path)
    splits = SplitList(corpus.name, corpus.subjects)
    folder = Path(cache_dir) / f"{corpus.name}-{cache_key(corpus, files, splits)}"
    done = folder / "complete.json"
    if not done.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not done.is_file():
                build(corpus, files, splits, folder, progress)
    summary = json.loads(done.read_text())
    problems = [Problem(**problem) for problem in summary["problems"]]
    if not summary["counts"]:
        raise CorpusError(f"{corpus.name}: no image of this corpus in {path}\n{describe(problems)}")
    return Prepared(corpus.name, folder, summary["counts"], problems)


def build(corpus: Corpus, files: CorpusFiles, splits: SplitList, folder: Path, progress: bool) -> None:
    """Write all missing parts, then `problems.csv` and `complete.json`."""
    items = watched(corpus, files, splits, progress)
    for number in itertools.count():
        part = folder / f"part-{number:05d}"
        chunk = list(itertools.islice(items, PART))
        if not chunk:
            break
        if not part.is_dir():
            write_part(part, corpus, chunk, splits)
    counts: Counter[str] = Counter()
    problems: list[Problem] = []
    for part in sorted(folder.glob("part-?????")):
        summary = json.loads((part / "part.json").read_text())
        counts.update(summary["counts"])
        problems += [Problem(**problem) for problem in summary["problems"]]
    with open(folder / "problems.csv", "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(["corpus", "source", "reason", "left_out"])
        writer.writerows([corpus.name, p.source, p.reason, p.left_out] for p in problems)
    write_whole(folder / "complete.json", json.dumps({"counts": counts, "problems": [asdict(p) for p in problems]}))


def watched(corpus: Corpus, files: CorpusFiles, splits: SplitList, progress: bool) -> Iterator[Entry | Problem]:
    """The reader's items after the refused paths, and before the listed images that the corpus turned out to lack."""
    yield from files.problems
    missing = set(splits.sources)
    for item in tqdm(corpus.reader(files), corpus.name, unit=" images", disable=not progress):
        if isinstance(item, Entry):
            missing.discard(splits.listed_source(item.source))
        yield item
    if splits.sources and len(missing) < len(splits.sources):  # else it is another copy, with other names
        yield from half_there(missing, len(splits.sources))


def half_there(missing: set[str], listed: int, most: int = 20) -> Iterator[Problem]:
    """One problem per listed image that is not there, or one per folder that lacks more than `most`."""
    folders: dict[str, list[str]] = defaultdict(list)
    for source in sorted(missing):
        folders[source.rsplit("/", 1)[0]].append(source)
    for folder, sources in sorted(folders.items()):
        if len(sources) > most:
            yield Problem(folder, f"{len(sources):,} of the {listed:,} images in the list of splits are not here")
        else:
            yield from (Problem(source, "stands in the list of splits, but is not here") for source in sources)


def describe(problems: list[Problem], most: int = 10) -> str:
    """The first problems, one per line, and how many more there are."""
    lines = [f"  {p.source}: {p.reason}{'' if p.left_out else ' (kept)'}" for p in problems[:most]]
    return "\n".join(lines + ([f"  … and {len(problems) - most} more"] if len(problems) > most else []))
