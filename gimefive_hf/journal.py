"""The append-only record of a long scoring run, which is what makes it resumable after a kill at any moment."""

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

# The page cache outlives a killed process, but not a power cut: that loses what came after the last fsync.
FSYNC_BYTES = 1_000_000


class Journal:
    """
    One JSON line per finished image, `[name, rows]`, after a first line with the settings of the run.

    A line is whole or does not count: what a kill tore off is cut away when the journal is opened again. `done` holds
    the names that the journal has.

    Args:
        path: of the journal; made if it does not exist.
        settings: what must be the same when a run is continued; JSON values.

    Raises:
        ValueError: if the journal belongs to a run with other settings, is no journal, or another process holds it.
    """

    def __init__(self, path: Path, settings: dict[str, Any]):
        self.path = path
        self.done: set[str] = set()
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
            entry = self._parse(line)
            if number == 0:
                self._check(entry, settings)
            else:
                self.done.add(entry[0])
            end += len(line)
        self._file.truncate(end)
        self._unsynced = 0
        if end == 0:
            self._write(settings)

    def _parse(self, line: bytes) -> Any:
        try:
            return json.loads(line)
        except ValueError:
            raise ValueError(f"{self.path.name} is not a journal of this command; move it away") from None

    def _check(self, found: Any, settings: dict[str, Any]) -> None:
        wanted = json.loads(json.dumps(settings))
        if found == wanted:
            return
        if not isinstance(found, dict):
            raise ValueError(f"{self.path.name} is not a journal of this command; move it away")
        other = ", ".join(
            f"{key}={found.get(key)!r}, now {wanted.get(key)!r}"
            for key in sorted({*found, *wanted})
            if found.get(key) != wanted.get(key)
        )
        raise ValueError(
            f"{self.path.name} belongs to an unfinished run with other settings ({other}); repeat that call to finish "
            "it, or delete the file to start anew"
        )

    def append(self, name: str, rows: list[list]) -> None:
        """Note the rows of one image. They are safe from a kill of this process once `flush` returned."""
        self._write([name, rows])
        self.done.add(name)

    def _write(self, entry: Any) -> None:
        line = json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self._file.write(line)
        self._unsynced += len(line)

    def flush(self) -> None:
        """Hand everything to the operating system, now and then to the disk."""
        self._file.flush()
        if self._unsynced >= FSYNC_BYTES:
            os.fsync(self._file.fileno())
            self._unsynced = 0

    def entries(self) -> Iterator[tuple[str, list[list]]]:
        """Name and rows of every image, in the order in which they were appended."""
        self._file.flush()
        with open(self.path, "rb") as file:
            next(file)
            for line in file:
                name, rows = json.loads(line)
                yield name, rows

    def close(self) -> None:
        self._file.flush()
        self._file.close()

    def delete(self) -> None:
        """Remove the file, when everything in it stands elsewhere."""
        self.path.unlink()
        self._file.close()
