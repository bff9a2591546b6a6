"""A checkpoint → model and processor, or one line that says why not."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers.utils import logging

from .bundled import BUNDLED
from .image_processing_gimefive import GiMeFiveImageProcessor
from .modeling_gimefive import GiMeFiveForImageClassification
from .registration import register

register()

# Options of `from_pretrained` that say where to look, not what to make of it.
PLACES = ("revision", "token", "cache_dir", "local_files_only")


def load_checkpoint(
    name_or_path: str | Path, **kwargs: Any
) -> tuple[GiMeFiveForImageClassification, GiMeFiveImageProcessor]:
    """
    Load the name of a checkpoint in the package, a folder, or a Hub id; `kwargs` go to transformers' `from_pretrained`.

    Raises:
        ValueError: if there is no such model, a file is missing, cut or spoilt, or weights and configuration do not
            belong together: transformers would fill the gaps with random numbers and go on.
    """
    with one_line(name_or_path):
        model, info = GiMeFiveForImageClassification.from_pretrained(name_or_path, output_loading_info=True, **kwargs)
        counts = {kind: len(info[f"{kind}_keys"]) for kind in ("missing", "unexpected")}
        gaps = [f"{count} weights are {kind}" for kind, count in counts.items() if count]
        if gaps:
            raise ValueError(f"the weights are not those of its config.json: {' and '.join(gaps)}")
        shared = {name: value for name, value in kwargs.items() if name in PLACES}
        return model, GiMeFiveImageProcessor.from_pretrained(name_or_path, **shared)


@contextmanager
def one_line(name_or_path: str | Path) -> Iterator[None]:
    """Make whatever loading raises a ValueError of one line, without transformers' report of several screens."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    except (OSError, ValueError, RuntimeError, TypeError, SafetensorError, StrictDataclassError) as error:
        name, reason = str(name_or_path), " ".join(str(error).split())
        if Path(name_or_path).is_dir():
            if "mismatched_sizes" in reason:
                reason = "the weights are not those of its config.json: their shapes differ"
            raise ValueError(f"the checkpoint {name!r} cannot be loaded: {reason}") from error
        raise ValueError(
            f"no model {name!r}: expected one of {', '.join(BUNDLED)}, the folder of a checkpoint, or the id of one on "
            f"the Hub ({reason})"
        ) from error
    finally:
        logging.set_verbosity(verbosity)
