"""The record of a long scoring run, an SQLite database, which is what makes it resumable after a kill at any moment."""

import errno
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

# Held alone, which also serves folders on a network; after a power cut whole, if maybe without the last images.
TABLES = """
PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS run (settings TEXT);
CREATE TABLE IF NOT EXISTS images (name TEXT PRIMARY KEY, rows TEXT, stamp TEXT);
"""


class Journal:
    """
    The finished images of a run with their rows and stamps, and the settings of the run.

    Args:
        path: of the journal; made if it does not exist. SQLite keeps what is new in `path`-wal beside it.
        settings: what must be the same when a run is continued; JSON values.

    Attributes:
        done: name → stamp of the images that the journal held when it was opened.

    Raises:
        ValueError: if the journal belongs to a run with other settings, is no journal, or another process holds it.
        OSError: like all methods, if the disk takes no more.
    """

    def __init__(self, path: Path, settings: dict[str, Any]):
        self.path = path
        self._database = sqlite3.connect(path, timeout=0)
        try:
            with self._explained():
                self._database.executescript(TABLES)
                self._check(settings)
                self.done: dict[str, str | None] = dict(self._database.execute("SELECT name, stamp FROM images"))
        except BaseException:
            self.close()
            raise

    def _check(self, settings: dict[str, Any]) -> None:
        wanted = json.loads(json.dumps(settings))
        first = self._database.execute("SELECT settings FROM run").fetchone()
        if first is None:
            self._database.execute("INSERT INTO run VALUES (?)", [json.dumps(settings)])
            self._database.commit()
            return
        found = json.loads(first[0])
        other = ", ".join(
            f"{key}={found.get(key)!r}, now {wanted.get(key)!r}"
            for key in sorted({*found, *wanted})
            if found.get(key) != wanted.get(key)
        )
        if other:
            raise ValueError(
                f"{self.path.name} belongs to an unfinished run with other settings ({other}); repeat that call to "
                "finish it, or delete the file to start anew"
            )

    def append(self, name: str, rows: list[list], stamp: str | None = None) -> None:
        """Note the rows of one image, instead of earlier ones. They are safe from a kill once `flush` returned."""
        with self._explained():
            self._database.execute("REPLACE INTO images VALUES (?, ?, ?)", [name, json.dumps(rows), stamp])

    def flush(self) -> None:
        """Make safe what was appended. Raises OSError also if the folder was removed, where no result could be kept."""
        with self._explained():
            self._database.commit()
        if not self.path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.path.parent))

    def entries(self) -> Iterator[tuple[str, list[list]]]:
        """Name and rows of every image, in the order in which they were appended."""
        with self._explained():
            for name, rows in self._database.execute("SELECT name, rows FROM images ORDER BY rowid"):
                yield name, json.loads(rows)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """The disk's errors as OSErrors; that the file is held, damaged or another one, as ValueErrors."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                text = f"{self.path.name} is being written by another run; wait for it or stop it"
                raise ValueError(text) from None
            if isinstance(error, sqlite3.OperationalError):
                raise OSError(str(error)) from error
            text = f"{self.path.name} is not a journal of this command, or is damaged; move it away"
            raise ValueError(text) from None

    def close(self) -> None:
        """Close the file; what a full disk does not take is lost, and is scored again by the next run."""
        with suppress(sqlite3.Error):
            self._database.commit()
        with suppress(sqlite3.Error):
            self._database.close()

    def delete(self) -> None:
        """Remove the file, when everything in it stands elsewhere."""
        self.close()
        self.path.unlink(missing_ok=True)
