"""
The files that visitors send: each in a folder of its own, until the request that it belongs to has ended.

A file is known by the exact text of the path that its sender was told, which holds 128 random bits: whoever names it
has sent it. No path of a request is ever looked up on the disk, so none can lead elsewhere, and asking tells nothing.
"""

import atexit
import os
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

# An upload that no request has named goes after this many seconds: time enough to choose a clip's settings.
UNCLAIMED_SECONDS = 600
# All uploads together; a visitor who comes when they are reached is asked to try again.
MAX_BYTES = 1 << 30
MAX_FILES = 512
PREFIX = "gimefive-uploads-"
LOCK = ".alive"


class NotAnUploadError(ValueError):
    """The one answer to every file that was not uploaded here for this request, whatever else it may be."""

    def __init__(self) -> None:
        super().__init__("A file in this request was not uploaded for it. Upload it again for each request.")


class FullError(ValueError):
    """No room for another upload at the moment."""

    def __init__(self) -> None:
        super().__init__("Too many uploads at the moment; please try again in a minute.")


@dataclass
class Upload:
    """One file: its bytes, when it came, and whose it is by now (`claimed` by a request, that of `event`)."""

    size: int
    came: float
    claimed: bool = False
    event: str | None = None


class Uploads:
    """The ledger of a place of this process alone (mode 0700). Safe to use from several threads."""

    def __init__(self, base: Path) -> None:
        sweep_abandoned(base)
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        self.alive = FileLock(self.folder / LOCK, timeout=0, thread_local=False)  # held as long as this process lives
        self.alive.acquire()
        self.files: dict[str, Upload] = {}
        self.mutex = threading.Lock()
        atexit.register(self.close)

    def add(self, name: str, source: BinaryIO, size: int) -> str:
        """Keep the file, and return the path by which its sender can name it. Raises FullError."""
        folder = self.folder / secrets.token_hex(16)
        path = str(folder / safe_name(name))
        with self.mutex:
            if len(self.files) >= MAX_FILES or sum(file.size for file in self.files.values()) + size > MAX_BYTES:
                raise FullError
            # counted before it is written: uploads that come together must not overstep the limit together
            self.files[path] = Upload(size, time.monotonic())
        try:
            folder.mkdir(mode=0o700)
            with open(path, "xb") as target:
                shutil.copyfileobj(source, target)
        except BaseException:
            self.drop(path)
            raise
        return path

    def claim(self, paths: Iterable[str]) -> None:
        """Give all these files to one request. Raises NotAnUploadError, and claims none, if one of them is not free."""
        wanted = list(paths)
        with self.mutex:
            found = [self.files.get(path) for path in wanted]
            if len(set(wanted)) != len(wanted) or any(file is None or file.claimed for file in found):
                raise NotAnUploadError
            for file in found:
                assert file is not None
                file.claimed = True

    def bind(self, paths: Iterable[str], event: str) -> None:
        """The request that claimed these files waits in the queue as `event`."""
        with self.mutex:
            for path in paths:
                if path in self.files:
                    self.files[path].event = event

    def is_claimed(self, path: object) -> bool:
        """Whether this is the path of a file that a request has claimed."""
        with self.mutex:
            return isinstance(path, str) and path in self.files and self.files[path].claimed

    def holds(self, path: str) -> bool:
        with self.mutex:
            return path in self.files

    def take(self, path: object) -> bytes:
        """The bytes of a claimed file, which is deleted. Raises NotAnUploadError."""
        if not self.is_claimed(path):
            raise NotAnUploadError
        try:
            return Path(str(path)).read_bytes()
        except FileNotFoundError:
            raise NotAnUploadError from None
        finally:
            self.drop(str(path))

    def drop(self, path: str) -> None:
        """Delete a file of this ledger; nothing happens to any other."""
        with self.mutex:
            if self.files.pop(path, None) is None:
                return
        shutil.rmtree(Path(path).parent, ignore_errors=True)

    def overdue(self, alive: set[str], now: float | None = None) -> list[str]:
        """
        What belonged to an event that has ended, and what nobody claimed in `UNCLAIMED_SECONDS`.

        `alive` must be of this very moment: a file that was bound since would be taken for an ended event's.
        """
        now = time.monotonic() if now is None else now
        with self.mutex:
            ended = [path for path, file in self.files.items() if file.event is not None and file.event not in alive]
            return ended + [p for p, f in self.files.items() if not f.claimed and f.came < now - UNCLAIMED_SECONDS]

    def drop_all(self, paths: Iterable[str]) -> None:
        for path in paths:
            self.drop(path)

    def close(self) -> None:
        """Delete everything. A second call does nothing."""
        atexit.unregister(self.close)
        self.alive.release()
        shutil.rmtree(self.folder, ignore_errors=True)


def safe_name(name: str) -> str:
    """A visitor's file name as one on this disk: no folder, nothing hidden, at most 100 bytes."""
    last = re.split(r"[/\\]", name)[-1]
    # \w keeps the letters of every script
    plain = re.sub(r"[^\w.()+ -]", "_", last).encode(errors="replace")[-100:].decode(errors="ignore").lstrip(". ")
    return plain or "upload"


def sweep_abandoned(base: Path) -> None:
    """Delete the places of processes that ended without doing so: nobody holds their locks."""
    for folder in base.glob(f"{PREFIX}*"):
        # Not gone meanwhile, nobody else's, and of a process that has ended.
        with suppress(OSError, Timeout):
            if folder.is_symlink() or (os.name == "posix" and folder.lstat().st_uid != os.getuid()):
                continue
            with FileLock(folder / LOCK, timeout=0):
                pass
            shutil.rmtree(folder, ignore_errors=True)
