"""
Assemble the demo as a Space, with the library and its checkpoint inside, and push it.

    python -m spaces.push_demo USER/NAME --dry-run          # only lists what would go
    HF_TOKEN=… python -m spaces.push_demo USER/NAME --private
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

from gimefive_hf.publishing.licence import LICENSE_FILE, LICENSE_TEXT

DEMO = Path(__file__).parent / "demo"
LIBRARY = Path(__file__).parents[1] / "gimefive_hf"
FAITHFULNESS = Path(__file__).parents[1] / "evaluation" / "results" / "faithfulness.csv"
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "*.pyi", ".gradio")


def assemble(folder: Path) -> list[Path]:
    """Put into the empty `folder` what makes the Space, and return its files. Raises ValueError if one lacks."""
    if not (LIBRARY / "checkpoints" / "gimefive" / "model.safetensors").is_file():
        raise ValueError("the library has no checkpoint in gimefive_hf/checkpoints/gimefive; the demo needs it")
    shutil.copytree(DEMO, folder, ignore=LEFT_OUT, dirs_exist_ok=True)
    shutil.copytree(LIBRARY, folder / "gimefive_hf", ignore=LEFT_OUT)
    if FAITHFULNESS.is_file():  # what the heat maps are worth, which the page tells
        shutil.copy(FAITHFULNESS, folder / FAITHFULNESS.name)
    shutil.copyfile(LICENSE_TEXT, folder / LICENSE_FILE)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def push(repo: str, private: bool = False, dry_run: bool = False) -> str:
    """Push and return the commit's address, or with `dry_run` the list of files. Raises ValueError with what to do."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        assemble(folder)
        return list_files(repo, folder) if dry_run else upload(repo, folder, "gradio", private, "Push demo")


def list_files(repo: str, folder: Path) -> str:
    """The files of a Space with their sizes, a line each."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{path.stat().st_size:>12,}  {path.relative_to(folder).as_posix()}" for path in files]
    return "\n".join([f"would push to Space {repo}:", *lines])


def upload(repo: str, folder: Path, sdk: str, private: bool, message: str) -> str:
    """Make the Space if there is none, commit the folder; the commit's address. Raises ValueError with what to do."""
    try:
        api = HfApi()
        api.create_repo(repo, repo_type="space", space_sdk=sdk, private=private, exist_ok=True)
        return api.upload_folder(repo_id=repo, repo_type="space", folder_path=folder, commit_message=message).commit_url
    except OfflineModeIsEnabled:
        raise ValueError("the Hub cannot be asked while HF_HUB_OFFLINE is set") from None
    except HFValidationError as error:
        raise ValueError(f"{error}; give the Space as USER/NAME") from None
    except (HfHubHTTPError, RuntimeError) as error:  # the client raises the latter for a file that did not go up
        raise ValueError(f"the Hub refused: {str(error).splitlines()[0]}; is HF_TOKEN allowed to write?") from None


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repo", metavar="USER/NAME")
    parser.add_argument("--private", action="store_true")
    parser.add_argument("--dry-run", action="store_true", help="list the files, and ask no server")
    args = parser.parse_args(argv)
    try:
        print(push(args.repo, args.private, args.dry_run))
    except ValueError as error:
        print(f"push_demo: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
