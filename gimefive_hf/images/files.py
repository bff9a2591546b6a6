"""The file that an image stands in: whether it is one that ends, what to call it, and what to say when it fails."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError


class Refused(ValueError):
    """An error of ours, which names the file already; PIL raises ValueErrors that do not."""


def check_regular(path: str | Path) -> None:
    """Raise ValueError for a named pipe, socket or device, which may never end, and OSError if nothing is there."""
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFIFO: "named pipe", stat.S_IFSOCK: "socket"}
        raise Refused(f"{source_name(path)}: is a {kinds.get(stat.S_IFMT(mode), 'device')}, not a file")


def source_name(source: object) -> str:
    """What to call an image in a message: the file's name without its folder, or the kind of object."""
    path = (
        source
        if isinstance(source, (str, Path))
        else getattr(source, "filename", None) or getattr(source, "name", None)
    )
    if isinstance(path, (str, Path)) and str(path):
        return Path(path).name or str(path)
    return "array" if hasattr(source, "dtype") else "image"


@contextmanager
def explained(name: str, kind: str = "an image") -> Iterator[None]:
    """Turn whatever opening a file of that kind may raise into a ValueError that names it and hides its folder."""
    try:
        yield
    except Refused:
        raise
    except FileNotFoundError:
        raise ValueError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise ValueError(f"{name}: is a folder, not {kind}") from None
    except PermissionError:
        raise ValueError(f"{name}: may not be read (permission denied)") from None
    except UnidentifiedImageError:
        raise ValueError(f"{name}: not an image, or of an unknown format") from None
    except Image.DecompressionBombError:
        raise ValueError(f"{name}: too large") from None
    except MemoryError:
        raise ValueError(f"{name}: too large for the memory of this machine") from None
    except Exception as error:  # PIL's decoders raise OSError, SyntaxError, struct.error and others on broken files
        if isinstance(error, OSError) and error.errno is not None:
            raise ValueError(f"{name}: cannot be read ({error.strerror})") from None
        reason = " ".join(str(error).split()) if "/" not in str(error) else ""
        raise ValueError(f"{name}: broken image ({reason or type(error).__name__})") from None
