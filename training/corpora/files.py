"""A corpus as people have it, a folder or a zip, seen as one list of relative paths. Nothing is ever extracted."""

import csv
import hashlib
import io
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from .schema import CorpusError, Problem

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
LARGEST_FILE = 256 * 1024 * 1024  # bytes that one member of a zip may unpack to; corpora hold small images


class CorpusFiles:
    """
    The files under a folder or inside a zip.

    Args:
        path: the folder or the zip.

    Attributes:
        names: sorted POSIX paths relative to the folder or zip.
        problems: paths that were refused: those that climb out, and names that a zip holds twice.

    Raises:
        CorpusError: if there is neither a folder nor a readable zip at `path`.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.problems: list[Problem] = []
        self._zip: zipfile.ZipFile | None = None
        digest = hashlib.sha256()
        if self.path.is_dir():
            rows = sorted(self._walk())
        elif self.path.is_file():
            try:
                self._zip = zipfile.ZipFile(self.path)
            except zipfile.BadZipFile as error:
                raise CorpusError(f"{self.path.name}: expected a zip; {error}. Copy or download it again") from error
            rows = sorted((i.filename, i.file_size, i.CRC) for i in self._zip.infolist() if not i.is_dir())
        else:
            raise CorpusError(f"no folder and no zip at {self.path}")
        self.names: list[str] = []
        for name, size, mark in rows:
            digest.update(f"{name}\0{size}\0{mark}\n".encode("utf-8", "surrogateescape"))
            if climbs_out(name):
                self.problems.append(Problem(name, "the path climbs out of the corpus"))
            elif self.names and self.names[-1] == name:
                self.problems.append(Problem(name, "the zip holds this name twice; its last copy is read", False))
            else:
                self.names.append(name)
        self.digest = digest.hexdigest()  # of names, sizes and CRCs (zip) or modification times (folder)

    def _walk(self) -> Iterator[tuple[str, int, int]]:
        root = str(self.path)
        for folder, _, files in os.walk(root):
            for file in files:
                full = os.path.join(folder, file)
                status = os.stat(full) if os.path.exists(full) else os.lstat(full)  # a dangling link is read, and fails
                yield os.path.relpath(full, root).replace(os.sep, "/"), status.st_size, status.st_mtime_ns

    def read(self, name: str) -> bytes:
        """All bytes of one file; `OSError` with the reason if it cannot be read."""
        if self._zip is None:
            return (self.path / name).read_bytes()
        try:
            info = self._zip.getinfo(name)
            if info.file_size > LARGEST_FILE:
                raise OSError(f"unpacks to {info.file_size:,} bytes; at most {LARGEST_FILE:,} are read")
            return self._zip.read(name)
        except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
            raise OSError(str(error)) from error  # bad CRC, damaged stream, encrypted, unknown compression

    def open(self, name: str) -> IO[bytes]:
        """A binary stream, for files too large to be read at once."""
        return open(self.path / name, "rb") if self._zip is None else self._zip.open(name)

    def rows(self, name: str, fieldnames: tuple[str, ...] | None = None) -> Iterator[dict[str, str]]:
        """Rows of a CSV file, read as they are asked for; `fieldnames` for a file without a header."""
        with self.open(name) as stream, io.TextIOWrapper(stream, "utf-8-sig", newline="") as text:
            yield from csv.DictReader(text, fieldnames=fieldnames)

    def named(self, *basenames: str) -> str | None:
        """The first file with one of these names, in whatever folder; None if there is none."""
        return next((n for n in self.names if n.rsplit("/", 1)[-1] in basenames), None)


def climbs_out(name: str) -> bool:
    """Whether a path inside a zip leads out of it, on any system: "../x", "/x", "C:\\x", "a\\..\\..\\x"."""
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or (bool(path.parts) and path.parts[0].endswith(":"))


def locate_corpus(name: str, root: str | Path) -> Path | None:
    """`root/NAME.zip` or `root/NAME/`, if there is one."""
    return next((path for path in (Path(root) / f"{name}.zip", Path(root) / name) if path.exists()), None)


def find_corpus(name: str, root: str | Path, others: Iterable[str] = ()) -> Path:
    """
    `root` itself if it is a zip, else `root/NAME.zip`, `root/NAME/`, or `root` as the corpus's own folder.

    Raises:
        CorpusError: if there is nothing at `root`, or it is a folder of corpora (it holds one of `others`) but not of
            this one, whose images must not be taken for this one's.
    """
    root = Path(root)
    if root.is_file():
        return root
    if not root.is_dir():
        raise CorpusError(f"no folder and no zip at {root}")
    path = locate_corpus(name, root)
    present = [other for other in others if locate_corpus(other, root)]
    if path is None and present:
        raise CorpusError(f"neither {name}.zip nor {name}/ in {root}, which holds {', '.join(present)}")
    return path or root
