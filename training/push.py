"""
Push a checkpoint to the Hugging Face Hub: model, processor, their code, card, and what was measured on it.

    python -m training.push runs/flagship/model USER/NAME --dry-run          # only lists what would go
    HF_TOKEN=… python -m training.push runs/flagship/model USER/NAME --private --card cards/model_card.md

The pushed repository loads without this project: `AutoModelForImageClassification.from_pretrained("USER/NAME",
trust_remote_code=True)`. Beside the checkpoint's own files go `calibration.json` and `reliability.png`, if
`training.calibrate` has made them, and every file named with `--also`.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, RepositoryNotFoundError

from gimefive_hf.image_processing_gimefive import GiMeFiveImageProcessor
from gimefive_hf.modeling_gimefive import GiMeFiveForImageClassification

CALIBRATION = ("calibration.json", "reliability.png")
CARD_HEAD = """---
library_name: transformers
pipeline_tag: image-classification
license: cc-by-nc-4.0
tags:
- facial-expression-recognition
- gimefive
---
"""


def short_card(checkpoint: Path, model: GiMeFiveForImageClassification, repo: str) -> str:
    """The card of a checkpoint that has no other: what it is, how it loads, what it scored on held-out images."""
    config = model.config
    parameters = sum(p.numel() for p in model.parameters())
    text = CARD_HEAD + (
        f"\n# GiMeFive ({config.architecture}, {parameters:,} parameters)\n\n"
        f"Aligned face crops of {config.image_size}×{config.image_size} px → {', '.join(config.id2label.values())}. "
        "Scores describe a facial expression, not a feeling. Trained on corpora licensed for research: "
        "non-commercial use only.\n"
        "\n```python\nfrom transformers import pipeline\n\n"
        f'classify = pipeline("image-classification", "{repo}", trust_remote_code=True)\n```\n'
    )
    if (checkpoint / CALIBRATION[0]).is_file():
        report = json.loads((checkpoint / CALIBRATION[0]).read_text())
        text += "\n| held-out images of | n | accuracy in % | expected calibration error |\n|---|---|---|---|\n"
        for name, row in report["held_out"].items():
            ece = row["calibrated"]["ece"]
            text += f"| {name} | {row['images']:,} | {100 * row['accuracy']:.1f} | {ece:.3f} |\n"
    return text


def stage(checkpoint: Path, folder: Path, repo: str, card: Path | None = None, also: Sequence[Path] = ()) -> list[Path]:
    """
    Put into `folder` exactly what is pushed, and return its files, sorted.

    The checkpoint is loaded and saved again: what does not load is not pushed, and the code is that of this version.
    Raises ValueError for a folder that holds no checkpoint, FileNotFoundError for a missing card or further file.
    """
    for name in ("config.json", "model.safetensors", "preprocessor_config.json"):
        if not (checkpoint / name).is_file():
            raise ValueError(f"no checkpoint in {checkpoint}: it has no {name}")
    model = GiMeFiveForImageClassification.from_pretrained(checkpoint)
    model.save_pretrained(folder)
    GiMeFiveImageProcessor.from_pretrained(checkpoint).save_pretrained(folder)
    for path in [checkpoint / name for name in CALIBRATION if (checkpoint / name).is_file()] + list(also):
        if not path.is_file():
            raise FileNotFoundError(f"no file {path}")
        shutil.copyfile(path, folder / path.name)
    card = card or (checkpoint / "README.md" if (checkpoint / "README.md").is_file() else None)
    if card is not None and not card.is_file():
        raise FileNotFoundError(f"no card {card}")
    text = card.read_text() if card else short_card(checkpoint, model, repo)
    if not text.startswith("---\n"):
        raise ValueError(
            f"the card {card} has no front matter: the Hub reads licence and task between two lines of ---"
        )
    (folder / "README.md").write_text(text)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def push(
    checkpoint: Path,
    repo: str,
    private: bool = False,
    card: Path | None = None,
    also: Sequence[Path] = (),
    dry_run: bool = False,
) -> str:
    """
    Push, and return the address of the commit; with `dry_run` return the list of files, and ask no server anything.

    Raises as `stage` does, and ValueError if `repo` is there but public when `private` was asked for, or the reverse.
    """
    with tempfile.TemporaryDirectory() as temporary:
        files = stage(checkpoint, Path(temporary), repo, card, also)
        if dry_run:
            total = sum(path.stat().st_size for path in files)
            lines = [f"{path.stat().st_size:>12,}  {path.relative_to(temporary)}" for path in files]
            kind = "private" if private else "public"
            return "\n".join([f"would push to {kind} {repo}:", *lines, f"{total:>12,}  bytes in {len(files)} files"])
        api = HfApi()
        api.create_repo(repo, private=private, exist_ok=True)
        there = api.model_info(repo)
        if bool(there.private) != private:
            asked, found = ("private", "public") if private else ("public", "private")
            raise ValueError(f"{repo} is there and is {found}; {asked} was asked for: change one of the two first")
        return api.upload_folder(repo_id=repo, folder_path=temporary, commit_message="Push checkpoint").commit_url


def push_with_advice(*args, **kwargs) -> str:
    """`push`, with the client's errors as one ValueError that says what to do."""
    try:
        return push(*args, **kwargs)
    except OfflineModeIsEnabled as error:
        raise ValueError("the Hub cannot be asked while HF_HUB_OFFLINE is set") from error
    except HFValidationError as error:
        raise ValueError(f"{error}; give the repository as USER/NAME") from error
    except (RepositoryNotFoundError, HfHubHTTPError) as error:
        status = error.response.status_code if error.response is not None else "no answer"
        hint = "; set HF_TOKEN to a token that may write there" if status in (401, 403, 404) else ""
        raise ValueError(f"the Hub refused ({status}): {str(error).splitlines()[0]}{hint}") from error


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="training.push", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path, help="folder of the checkpoint")
    parser.add_argument("repo", help="USER/NAME on the Hub")
    parser.add_argument("--private", action="store_true", help="make the repository private")
    parser.add_argument("--card", type=Path, help="model card; by default the checkpoint's README.md, else a short one")
    parser.add_argument("--also", type=Path, nargs="+", default=[], help="further files, such as results and curves")
    parser.add_argument("--dry-run", action="store_true", help="only list the files")
    args = parser.parse_args(argv)
    try:
        print(push_with_advice(args.checkpoint, args.repo, args.private, args.card, args.also, args.dry_run))
    except (ValueError, FileNotFoundError) as error:
        print(f"training.push: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
