"""Folders of images, on this machine or in any storage that fsspec knows: what is in them, and the pixels."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..images.opening import FORMATS
from ..images.photos import load_image

# Which files of a folder are taken for images; what a file really holds is seen when it is read.
IMAGE_SUFFIXES = tuple(suffix for suffixes in FORMATS.values() for suffix in suffixes)


class ImageFolder:
    """
    Images by their paths under a folder, with "/" between. It can be pickled, so that other processes read from it.

    Args:
        location: a path, or an address as fsspec knows them: s3://bucket/folder, https://…, memory://…, file://…

    Raises:
        ValueError: if there is no such folder, or the package for this kind of storage is missing.
    """

    def __init__(self, location: str | Path):
        text = str(location).removeprefix("file://")
        self._storage: Any = None
        self._root = os.path.realpath(text)  # for processes that run elsewhere
        self._stamps: dict[str, str] = {}
        self.address = self._root
        if "://" in text:
            self._storage, self._root = open_storage(text)
            self.address = text.rstrip("/")
        elif not Path(text).is_dir():
            raise ValueError(f"{text}: no such folder")

    def find(self, skipped: Callable[[str], None] = lambda name: None) -> Iterator[tuple[str, str | None]]:
        """
        Paths of the image files in a fixed order, each with None; or of a folder that may not be read, with the reason.
        Hidden files are left out; of other files `skipped` is told the name.

        Raises:
            ValueError: if a storage cannot be listed.
        """
        if self._storage is None:
            yield from find_images(Path(self._root), skipped)
            return
        with explained(self._root, "cannot be listed"):
            details = self._storage.find(self._root, detail=True)
        by_name = {path.removeprefix(self._root).strip("/"): detail for path, detail in details.items()}
        self._stamps = {name: stamp for name, detail in by_name.items() if (stamp := storage_stamp(detail))}
        for parts in sorted(name.split("/") for name in by_name):
            if any(part.startswith(".") for part in parts):
                continue
            if Path(parts[-1]).suffix.lower() in IMAGE_SUFFIXES:
                yield "/".join(parts), None
            else:
                skipped(parts[-1])

    def stamp(self, name: str) -> str | None:
        """What tells whether a file is still the same: size and time, or a storage's checksum; None if nothing does."""
        try:
            if self._storage is None:
                status = os.stat(os.path.join(self._root, name))
                return f"{status.st_size} {status.st_mtime_ns}"
            # a web server's listing tells nothing, but it answers for each file
            return self.listed_stamp(name) or storage_stamp(self._storage.info(f"{self._root}/{name}"))
        except Exception:  # each storage has its own kinds; what is wrong with the file is seen when it is read
            return None

    def listed_stamp(self, name: str) -> str | None:
        """`stamp`, if a storage told it when it was listed; asking again would cost a request."""
        return self._stamps.get(name)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_stamps": {}}  # who reads the images need not know

    def load(self, name: str) -> NDArray[np.uint8]:
        """One image as uint8 RGB (height, width, 3). Raises ValueError with the reason, without the file's name."""
        if self._storage is None:
            path = Path(self._root) / name
            source: Path | bytes = path
            prefix = f"{path.name}: "
        else:
            prefix = "image: "
            try:
                source = self._storage.cat_file(f"{self._root}/{name}")
            except FileNotFoundError:
                raise ValueError("no such file") from None
            except Exception as error:  # each storage has its own kinds
                raise ValueError(f"could not be fetched ({type(error).__name__})") from None
        try:
            return load_image(source)
        except ValueError as error:
            # the file's name, with which the message begins, has a column of its own
            raise ValueError(str(error).removeprefix(prefix)) from None


@contextmanager
def explained(what: str, problem: str) -> Iterator[None]:
    """Turn whatever a storage raises into a ValueError that says what could not be done."""
    try:
        yield
    except Exception as error:  # each storage has its own kinds
        raise ValueError(f"{what} {problem}: {type(error).__name__}: {error}") from None


def open_storage(address: str) -> tuple[Any, str]:
    """The fsspec file system of an address, and the folder in it. Raises ValueError if there is none."""
    from fsspec.core import url_to_fs

    with explained(address, "cannot be opened"):
        storage, root = url_to_fs(address)
        there = storage.isdir(root)
    if not there:
        raise ValueError(f"{address}: no such folder")
    return storage, root.rstrip("/")


def storage_stamp(detail: dict[str, Any]) -> str | None:
    """The first checksum or time that a storage tells of a file, with its size; None if it tells neither."""
    checksums = ("ETag", "etag", "md5Hash", "Content-MD5")
    times = ("LastModified", "last_modified", "Last-Modified", "mtime", "created")
    known = next((detail[name] for name in (*checksums, *times) if detail.get(name)), None)
    return None if known is None else f"{detail.get('size')} {known}"


def find_images(folder: Path, skipped: Callable[[str], None] = lambda name: None) -> Iterator[tuple[str, str | None]]:
    """`ImageFolder.find` for a folder of this machine."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield ".", f"folder may not be read ({error.strerror})"
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            for name, error_text in find_images(Path(entry.path), skipped):
                yield (entry.name if name == "." else f"{entry.name}/{name}"), error_text
        elif Path(entry.name).suffix.lower() in IMAGE_SUFFIXES:
            yield entry.name, None
        else:
            skipped(entry.name)


def printable(name: str) -> str:
    """A file name as UTF-8: bytes that are none are written as \\udcXX, so that different names stay different."""
    return name.encode("utf-8", "backslashreplace").decode()
