"""Models on the Hub: `push` for a checkpoint's folder, `push_model` for `model.push_to_hub`."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi

from ..image_processing_gimefive import GiMeFiveImageProcessor
from ..modeling_gimefive import GiMeFivePreTrainedModel
from .hub import fill, listing
from .short_card import RECORDS
from .staging import stage


def push(
    checkpoint: Path,
    repo: str,
    private: bool = False,
    card: Path | None = None,
    also: Sequence[Path] = (),
    dry_run: bool = False,
    api: HfApi | None = None,
) -> str:
    """
    Push, and return the address of the commit; with `dry_run` return the list of files, and ask no server anything.

    Raises as `staging.stage` and `hub.fill` do.
    """
    with tempfile.TemporaryDirectory() as temporary:
        stage(checkpoint, Path(temporary), repo, card, also)
        if dry_run:
            return listing(f"would push to {'private' if private else 'public'} {repo}:", Path(temporary))
        return fill(api or HfApi(), repo, Path(temporary), private=private)


def push_model(model: GiMeFivePreTrainedModel, repo_id: str, **options: Any) -> str:
    """
    What `model.push_to_hub(repo_id, private=…, token=…)` does where this package is: the same repository as `push`.

    Preprocessing, records and card come from the folder that the model was loaded from; a model that was never saved
    gets the preprocessing of its own input side.

    Raises:
        ValueError: for an option of transformers that has no meaning here, and as `push` does.
    """
    private, token = bool(options.pop("private", False)), options.pop("token", None)
    options.pop("commit_message", None)
    if options:
        raise ValueError(f"push_to_hub takes private, token and commit_message; got {', '.join(sorted(options))}")
    origin = Path(getattr(model, "name_or_path", "") or model.config._name_or_path or "")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "checkpoint"
        model.save_pretrained(folder)
        if (origin / "preprocessor_config.json").is_file():
            processor = GiMeFiveImageProcessor.from_pretrained(origin)
        else:
            side = model.config.image_size
            processor = GiMeFiveImageProcessor(size={"height": side, "width": side})
        processor.save_pretrained(folder)
        for name in (*RECORDS, "README.md"):
            if (origin / name).is_file():
                shutil.copyfile(origin / name, folder / name)
        return push(folder, repo_id, private, api=HfApi(token=token))
