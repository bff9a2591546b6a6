"""Rows written one after the other to CSV or Parquet, whole or not at all."""

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

FORMATS = (".csv", ".parquet")
ROWS_PER_GROUP = 4096


def check_output(path: Path, suffixes: tuple[str, ...]) -> None:
    """Raise ValueError if a file cannot be made at `path`, before any work is done for it."""
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"the output must end in {' or '.join(suffixes)}; got {path.name}")
    folder = path.parent
    if not folder.is_dir():
        raise ValueError(f"the output's folder {folder} does not exist; make it first")
    if path.is_dir():
        raise ValueError(f"the output {path.name} is a folder")
    if not os.access(folder, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise ValueError(f"no permission to write {path.name} in {folder}")
    try:  # what the permissions allow, the file system may still refuse
        beside(path).touch()
        beside(path).unlink()
    except OSError as error:
        raise ValueError(f"{path.name} cannot be made in {folder} ({error.strerror})") from None


def beside(path: Path) -> Path:
    """A hidden name in the same folder, from which a finished file can be renamed to `path` in one step."""
    return path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """
    Where to write instead of to `path`, which gets the file in one step at the end: a killed program leaves the old
    file or the new one, never half of one, and an error leaves the old one.
    """
    part = beside(path)
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a text as `whole_file` does."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def clear_write_errors(path: Path, advice: str) -> Iterator[None]:
    """Make what the system says when `path` cannot be written (disk full, folder gone) one OSError that tells all."""
    try:
        yield
    except FileNotFoundError as error:
        text = f"{path.name} could not be written: its folder {path.parent} was removed during the run"
        raise FileNotFoundError(error.errno, text) from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)  # Arrow's own text is longer and says no more
        raise OSError(error.errno, f"{path.name} could not be written ({reason}); {advice}") from error


class UnixLines:
    r"""A text file for csv's writer, which quotes a cell for a lone \r only if its lines end in \r\n; ours do not."""

    def __init__(self, file: TextIO):
        self._file = file

    def write(self, line: str) -> None:
        """One line, as the writer gives it."""
        self._file.write(line.removesuffix("\r\n") + "\n")


class TableWriter:
    """
    Writes dictionaries as rows, in memory that does not grow, to a hidden file that `close` renames to `path`.

    Args:
        path: ends in .csv or .parquet.
        columns: name → type, one of str, int, float. None is an empty cell.
        decimals: of floats in CSV; None writes six significant digits.
    """

    def __init__(self, path: Path, columns: dict[str, type], decimals: int | None = None):
        self.path, self.columns, self.decimals = path, columns, decimals
        self._part = beside(path)
        self._rows: list[dict[str, Any]] = []
        self._csv: Any = None
        self._file: Any
        if path.suffix.lower() == ".csv":
            self._file = open(self._part, "w", newline="", encoding="utf-8")  # noqa: SIM115 (closed in close/abort)
            self._csv = csv.writer(UnixLines(self._file), lineterminator="\r\n")
            self._csv.writerow(columns)
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        types = {str: pa.string(), int: pa.int64(), float: pa.float32()}
        self._schema = pa.schema([(name, types[kind]) for name, kind in columns.items()])
        self._file = pq.ParquetWriter(self._part, self._schema)

    def write(self, row: dict[str, Any]) -> None:
        """Add one row; columns that it lacks are empty. An unknown column is an error of ours."""
        assert row.keys() <= self.columns.keys(), row.keys() - self.columns.keys()
        if self._csv is not None:
            self._csv.writerow([self._text(row.get(name)) for name in self.columns])
            return
        self._rows.append({name: row.get(name) for name in self.columns})
        if len(self._rows) >= ROWS_PER_GROUP:
            self._write_group()

    def _text(self, value: Any) -> Any:
        if value is None:
            return ""
        if isinstance(value, float):
            return f"{value:.6g}" if self.decimals is None else f"{value:.{self.decimals}f}"
        return value

    def _write_group(self) -> None:
        import pyarrow as pa

        self._file.write_table(pa.Table.from_pylist(self._rows, self._schema))
        self._rows.clear()

    def close(self) -> None:
        """Finish the file and give it its name, replacing an older one in one step; or leave nothing behind."""
        try:
            if self._rows:
                self._write_group()
            self._file.close()
            os.replace(self._part, self.path)
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Leave nothing behind."""
        with suppress(OSError):  # a full disk refuses the rest, which nobody wants any more
            self._file.close()
        self._part.unlink(missing_ok=True)

    def __enter__(self) -> "TableWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()
