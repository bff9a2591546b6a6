"""The append-only record of a long scoring run, which is what makes it resumable after a kill at any moment."""

import errno
import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

# The page cache outlives a killed process, but not a power cut: that loses what came after the last fsync.
FSYNC_BYTES = 1_000_000


class Journal:
    """
    One JSON line per finished image, `[name, rows, stamp]`, after a first line with the settings of the run.

    A line is whole or does not count: what a kill tore off is cut away when the journal is opened again, and a line
    that the disk spoilt, as a power cut does with NUL bytes, is passed over, so that its image is scored again. Of
    several lines of one image the last one counts.

    Args:
        path: of the journal; made if it does not exist.
        settings: what must be the same when a run is continued; JSON values.

    Attributes:
        done: name → stamp of the images that the journal held when it was opened.
        damaged: how many spoilt lines it held.

    Raises:
        ValueError: if the journal belongs to a run with other settings, is no journal, or another process holds it.
    """

    def __init__(self, path: Path, settings: dict[str, Any]):
        self.path = path
        self.done: dict[str, str | None] = {}
        self.damaged = 0
        self._outdated: Counter[str] = Counter()  # lines of an image before its last one
        self._file: BinaryIO = open(path, "a+b")  # noqa: SIM115 (it lives as long as the journal)
        try:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # released by the kernel when the process dies
            except OSError:
                raise ValueError(f"{path.name} is being written by another run; wait for it or stop it") from None
            self._resume(settings)
        except BaseException:
            self._file.close()
            raise

    def _resume(self, settings: dict[str, Any]) -> None:
        end = 0
        self._file.seek(0)
        for number, line in enumerate(self._file):
            if not line.endswith(b"\n"):
                break  # torn by a kill
            end += len(line)
            if number == 0:
                self._check(line, settings)
                continue
            entry = parse_entry(line)
            if entry is None:
                self.damaged += 1
                continue
            name, _, stamp = entry
            if name in self.done:
                self._outdated[name] += 1
            self.done[name] = stamp
        self._file.truncate(end)
        self._unsynced = 0
        if end == 0:
            self._write(settings)

    def _check(self, line: bytes, settings: dict[str, Any]) -> None:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise ValueError(
                f"{self.path.name} is not a journal of this command, or its beginning is lost; move it away"
            )
        wanted = json.loads(json.dumps(settings))
        if found == wanted:
            return
        other = ", ".join(
            f"{key}={found.get(key)!r}, now {wanted.get(key)!r}"
            for key in sorted({*found, *wanted})
            if found.get(key) != wanted.get(key)
        )
        raise ValueError(
            f"{self.path.name} belongs to an unfinished run with other settings ({other}); repeat that call to finish "
            "it, or delete the file to start anew"
        )

    def append(self, name: str, rows: list[list], stamp: str | None = None) -> None:
        """Note the rows of one image. They are safe from a kill of this process once `flush` returned."""
        self._write([name, rows, stamp])
        if name in self.done:
            self._outdated[name] += 1

    def _write(self, entry: Any) -> None:
        line = json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self._file.write(line)
        self._unsynced += len(line)

    def flush(self) -> None:
        """
        Hand everything to the operating system, now and then to the disk.

        Raises:
            OSError: if it takes no more, or if the folder was removed, where no result could be kept.
        """
        self._file.flush()
        if not self.path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.path.parent))
        if self._unsynced >= FSYNC_BYTES:
            os.fsync(self._file.fileno())
            self._unsynced = 0

    def entries(self) -> Iterator[tuple[str, list[list]]]:
        """Name and rows of every image, in the order in which they were appended."""
        self._file.flush()
        outdated = self._outdated.copy()
        self._file.seek(0)  # not by the path: somebody may have removed the file, which is whole as long as it is open
        next(self._file)
        for line in self._file:
            entry = parse_entry(line)
            if entry is None:
                continue
            name, rows, _ = entry
            if outdated[name]:
                outdated[name] -= 1
                continue
            yield name, rows

    def close(self) -> None:
        """Close the file; what a full disk does not take is lost, and is scored again by the next run."""
        with suppress(OSError):
            self._file.close()

    def delete(self) -> None:
        """Remove the file, when everything in it stands elsewhere."""
        self.path.unlink(missing_ok=True)
        self._file.close()


def parse_entry(line: bytes) -> tuple[str, list[list], str | None] | None:
    """Name, rows and stamp of a line of the journal; None if it is spoilt."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if (
        not isinstance(entry, list)
        or len(entry) != 3
        or not isinstance(entry[0], str)
        or not isinstance(entry[1], list)
    ):
        return None
    return entry[0], entry[1], entry[2]
